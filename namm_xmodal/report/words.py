"""Numbers and lists in sentences."""

from collections.abc import Iterable
from math import floor, log10

from namm_xmodal.evaluation.estimate import Estimate
from namm_xmodal.types import ONCE

SMALL = 0.2
"""Scores below this get three digits after the point instead of two, and smaller ones two that are not zero."""

MOST_DIGITS = 6
"""After the point; what is smaller than that is written with an exponent."""


def counted(count: int, noun: str, several: str = "") -> str:
    """`1 sample`, `12,000 samples`: a number with its noun; `several` is its plural where that takes more than an s."""
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"


def listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`; a name that comes twice stands once."""
    *before, last = dict.fromkeys(names)
    return f"{', '.join(before)} and {last}" if before else last


SCHEDULES = {
    "streaming": "streaming: pruned every update_every tokens while the text or video is read, the question at the end of "
    "the stream",
    "post_context": "post_context: pruned once, before the question is read (question-agnostic)",
    "post_prefill": "post_prefill: pruned once, after the question was read (query-aware)",
}
"""When a policy evicts, and whether it knows the question."""


def schedules_in_words(names: Iterable[str]) -> str:
    """What the schedules of some rows mean; empty unless one of them prunes once, since nothing else could be meant."""
    found = set(names)
    if not found & ONCE:
        return ""
    return f"{'; '.join(words for name, words in SCHEDULES.items() if name in found)}."


def ended(text: str) -> str:
    """With a full stop, unless it ends with a mark of its own, as a question does."""
    text = text.rstrip()
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


def digits_for(values: Iterable[float]) -> int:
    """Digits after the point for scores that stand in one column."""
    largest = max(map(abs, values), default=0.0)
    if largest >= 5:
        return 1
    if largest == 0 or largest >= SMALL:
        return 2
    return min(MOST_DIGITS, max(3, 1 - floor(log10(largest))))


def number(value: float, digits: int, sign: bool = False) -> str:
    """A number; what is zero as it is written has no sign.

    Args:
        value: The number.
        digits: After the point; more than `MOST_DIGITS` means an exponent.
        sign: Whether to write a plus.
    """
    text = f"{value:{'+' if sign else ''}.{digits}f}" if digits <= MOST_DIGITS else f"{value:{'+' if sign else ''}.1e}"
    return text.lstrip("+-") if float(text) == 0 else text


def no_interval(found: Estimate) -> str:
    """Why an estimate has no interval: one item, or several of one group, such as questions about one video."""
    return "n = 1" if found.n == 1 else "one group"


def interval_words(found: Estimate, digits: int, sign: bool = False) -> str:
    """`0.71 [0.60, 0.80]`.

    Args:
        found: The estimate.
        digits: After the point; more of a difference that is marked and would be written as zero.
        sign: Whether it is a difference: with a plus.
    """
    if found.low is None or found.high is None:
        return f"{number(found.value, digits, sign)} [{no_interval(found)}]"
    if sign and found.marked:
        digits = max([digits, *(-floor(log10(abs(each))) for each in (found.value, found.low, found.high) if each)])
    return (
        f"{number(found.value, digits, sign)} [{number(found.low, digits, sign)}, {number(found.high, digits, sign)}]"
    )
