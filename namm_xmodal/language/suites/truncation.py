"""Prompts that are too long lose their middle: the first and the last half of the tokens stay, as in LongBench."""

from dataclasses import replace
from typing import Any

from namm_xmodal.errors import ItemError
from namm_xmodal.language.fitting import token_offsets
from namm_xmodal.language.prompt import encode
from namm_xmodal.language.sample import Sample

_ROUNDS = 8
"""Corrections: cut text may take some tokens more than its halves had."""


def without_middle(sample: Sample, most: int, tokenizer: Any) -> tuple[Sample, bool]:
    """A sample whose prompt has at most `most` tokens.

    The halves are those of the whole prompt. What is left out lies in the context, so that the question stays as it is.

    # Deviates: LongBench decodes the tokens of both halves. Here the text is cut where they end, so that a character whose
    # bytes are parted is left out rather than written as U+FFFD, and nothing else changes.

    Args:
        sample: The sample.
        most: Tokens of the prompt, special ones included.
        tokenizer: A fast transformers tokenizer.

    Returns:
        The sample, and whether it was cut.

    Raises:
        ItemError: If the question alone has as many tokens.
        DataError: If the tokenizer cannot say where its tokens stand.
    """
    encoded = encode(sample, tokenizer)
    if encoded.prompt_length <= most:
        return sample, False
    asked, special = len(encoded.question_ids), encoded.prefix_length
    if asked + special >= most:
        raise ItemError(f"its question alone has {asked} tokens, the prompt may have {most}")
    places = token_offsets(sample.context, tokenizer)
    total = most
    for _ in range(_ROUNDS):
        half = total // 2  # special tokens in front belong to the first one
        front = max(0, min(half, total - asked) - special)
        cut = replace(sample, context=_joined(sample.context, places, front, max(0, half - asked)))
        excess = encode(cut, tokenizer).prompt_length - most
        if excess <= 0 and cut.context:
            return cut, True
        total -= max(excess, 1)
    raise ItemError(f"its prompt has {encoded.prompt_length} tokens and could not be cut to {most}")


def _joined(text: str, places: list[tuple[int, int]], front: int, back: int) -> str:
    """The text of the first and of the last tokens."""
    start = places[front - 1][1] if front else 0
    end = places[len(places) - back][0] if back else len(text)
    return text[:start] + text[max(start, end) :]
