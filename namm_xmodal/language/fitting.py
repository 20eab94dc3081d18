"""Cuts text to a number of tokens, from either end, and builds prompts of a given length."""

import re
from collections.abc import Callable
from typing import Any

from namm_xmodal.errors import DataError
from namm_xmodal.language.prompt import encode
from namm_xmodal.language.sample import Sample

_NEAR = 16  # characters to look for the border of a word: rules and tables have none for a whole line
_ROUNDS = 6  # corrections of a prompt's length; two are enough unless a tokenizer is very uneven


class TextsTooShortError(DataError):
    """Raised where a source of texts ends before a prompt is long enough."""


def cut_to_tokens(text: str, tokens: int, tokenizer: Any) -> str | None:
    """The start of a text, with at most so many tokens, cut after a whole word.

    Args:
        text: Where to cut.
        tokens: Number of tokens, at least 1.
        tokenizer: A fast transformers tokenizer.

    Returns:
        The start, at most 16 characters short of `tokens`; None if the whole text has no more than that.

    Raises:
        DataError: If the tokenizer cannot say where its tokens stand.
    """
    size = 6 * tokens + 64  # characters: English has 3 to 5 a token, so one pass nearly always does
    while True:
        piece = text[:size]
        offsets = token_offsets(piece, tokenizer)
        if len(offsets) > tokens:
            end = _word_end(piece, offsets[tokens][0])
            return piece[:end] if end else None
        if len(piece) == len(text):
            return None
        size *= 2


def cut_to_last_tokens(text: str, tokens: int, tokenizer: Any) -> str:
    """The end of a text, with about so many tokens, cut before a whole word; the whole text if it has fewer.

    The first word loses the space before it and may take a token more for that.

    Args:
        text: Where to cut.
        tokens: Number of tokens, at least 1.
        tokenizer: A fast transformers tokenizer.

    Raises:
        DataError: If the tokenizer cannot say where its tokens stand.
    """
    size = 6 * tokens + 64
    while True:
        piece = text[-size:]
        offsets = token_offsets(piece, tokenizer)
        if len(offsets) > tokens:
            start = offsets[len(offsets) - tokens][0]
            word = re.compile(r"(?<=\s)\S").search(piece, start, start + _NEAR)
            return piece[word.start() if word else start :]
        if len(piece) == len(text):
            return text
        size *= 2


def token_offsets(text: str, tokenizer: Any) -> list[tuple[int, int]]:
    """Where each token stands in a text: start and end characters."""
    if not getattr(tokenizer, "is_fast", False):
        raise DataError(
            f"tokenizer {type(tokenizer).__name__}: has no character offsets; expected a fast transformers tokenizer "
            "(load it with use_fast=True)"
        )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return list(encoded["offset_mapping"])


def _word_end(text: str, cut: int) -> int:
    """The last place at or before `cut` where a word has ended and white space follows; `cut` itself if none is near."""
    for end in range(cut, max(cut - _NEAR, 0), -1):
        if text[end].isspace() and not text[end - 1].isspace():
            return end
    return cut


def fit_prompt(
    build: Callable[[int], Sample], length: int, tokenizer: Any, hint: str = "", reserved: int = 0, unit: int = 1
) -> Sample:
    """Builds a sample whose prompt (all tokens before the answer) has a given length.

    Args:
        build: From a number of filler tokens to a sample; must use the same random choices at every call.
        length: Tokens of the prompt, special ones included.
        tokenizer: The tokenizer that counts them.
        hint: What else would make a prompt shorter, such as `, or fewer keys`.
        reserved: Tokens of the length that are kept free for the answer. With some, the prompt that comes nearest from
            below is taken: a length that counts the answer is a limit.
        unit: Tokens of the smallest piece of filler that `build` can add.

    Returns:
        The sample that comes nearest, at most 2 % off.

    Raises:
        DataError: If no filler makes the prompt that short, or the text runs out.
    """
    filler = length - reserved - 64
    best: tuple[int, Sample] | None = None  # how far off it is, and the nearest one
    for _ in range(_ROUNDS):
        try:
            sample = build(max(filler, 8))
        except TextsTooShortError as error:
            raise DataError(f"length: {length}: {error}") from None
        gap = length - reserved - encode(sample, tokenizer).prompt_length
        if best is None or _far(gap, reserved) < _far(best[0], reserved):
            best = gap, sample
        if 0 <= gap <= max(unit, length // 200) or (filler <= 8 and gap < 0):
            break
        filler += min(gap, -unit) if gap < 0 else gap
    assert best is not None
    gap, nearest = best
    if abs(gap) > 0.02 * length:
        remedy = "a shorter length, or longer texts" if gap > 0 else f"a longer length{hint}"
        raise DataError(
            f"length: {length}: sample {nearest.index}: its nearest prompt has {length - reserved - gap} tokens"
            f"{f' and its answer {reserved}' if reserved else ''}, expected at most 2 % off; use {remedy}"
        )
    return nearest


def _far(gap: int, reserved: int) -> tuple[bool, int]:
    """How far a prompt is from the wanted length; too long is worse than too short where tokens are reserved."""
    return reserved > 0 and gap < 0, abs(gap)
