"""Tokenises a sample."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from namm_xmodal.language.sample import Sample


@dataclass(frozen=True)
class EncodedSample:
    """Token ids of a sample; `context_ids + question_ids + answer_ids` is what the model sees.

    Attributes:
        context_ids: The tokens a tokenizer puts before every text (such as Gemma's `<bos>`), then the context.
        question_ids: The question; may be empty.
        answer_ids: The answer; may be empty.
        choice_ids: Each of the sample's choices, in order, as it follows the question.
        prefix_length: Number of tokens at the start of `context_ids` that stand for no text.
    """

    context_ids: tuple[int, ...] = field(repr=False)
    question_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    choice_ids: tuple[tuple[int, ...], ...] = ()
    prefix_length: int = 0

    @property
    def prompt_length(self) -> int:
        """Tokens before the answer."""
        return len(self.context_ids) + len(self.question_ids)


def encode(sample: Sample, tokenizer: Any) -> EncodedSample:
    """Tokenises a sample without letting a later part change an earlier one.

    The context must be readable before the question is known, so its tokens may not depend on what follows. Each part
    is therefore what the joined text adds to the tokens of the text before it. Where a token of the joined text would
    straddle the border (possible with tokenizers that do not split words first), the part is tokenised by itself
    instead: then the model sees the two parts with the border between them, as it does in a conversation.

    Args:
        sample: What to encode.
        tokenizer: Any transformers tokenizer.
    """
    prefix = prefix_ids(tokenizer)
    context = _ids(tokenizer, sample.context)
    question = _continuation(tokenizer, sample.context, context, sample.question)
    read, read_ids = sample.context + sample.question, context + question
    answer = _continuation(tokenizer, read, read_ids, sample.answer)
    choices = tuple(tuple(_continuation(tokenizer, read, read_ids, choice)) for choice in sample.choices)
    return EncodedSample((*prefix, *context), tuple(question), tuple(answer), choices, len(prefix))


def prefix_ids(tokenizer: Any) -> tuple[int, ...]:
    """Special tokens that a tokenizer puts before every text; tokens it would put after are not wanted here."""
    plain = _ids(tokenizer, "a")
    with_special = list(tokenizer("a")["input_ids"])
    for start in range(len(with_special) - len(plain) + 1):
        if with_special[start : start + len(plain)] == plain:
            return tuple(with_special[:start])
    return ()


def _continuation(tokenizer: Any, before: str, before_ids: Sequence[int], part: str) -> list[int]:
    if not part:
        return []
    joined = _ids(tokenizer, before + part)
    if joined[: len(before_ids)] == list(before_ids) and len(joined) > len(before_ids):
        return joined[len(before_ids) :]
    return _ids(tokenizer, part)


def _ids(tokenizer: Any, text: str) -> list[int]:
    # `verbose=False`: a text longer than the model's maximum is no mistake here; whoever runs the model checks it.
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
