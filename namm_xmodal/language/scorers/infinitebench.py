"""InfiniteBench's rules for numbers, words and names (OpenBMB/InfiniteBench, `src/compute_scores.py`; arXiv:2402.13718).

They changed over time; these are those of the latest version that was seen.
"""

import re
from collections.abc import Sequence

from namm_xmodal.errors import DataError
from namm_xmodal.language.scorers.references import best


def first_integer(prediction: str, references: Sequence[str]) -> float:
    """1 if the first run of digits is the answer, leading zeros included: `passkey` and `number_string`."""
    return best(lambda said, right: (re.findall("[0-9]+", said) or [""])[0] == right, prediction, references)


def contained_word(prediction: str, references: Sequence[str]) -> float:
    """1 if the answer is one of the words, which white space and `:"'.,?!{}` separate: `kv_retrieval`."""
    return best(lambda said, right: right in _words(said, ":\"'.,?!{}"), prediction, references)


def code_run(prediction: str, references: Sequence[str]) -> float:
    """1 if the last word, between white space and ``.`'":``, is the answer as an integer: `code_run`."""
    return best(lambda said, right: _is_integer(_words(said, ".`'\":")[-1:], _number(right)), prediction, references)


def math_find(prediction: str, references: Sequence[str]) -> float:
    """1 if the first number without its sign equals the answer: `math_find`.

    If the answer is an integer, a number with decimals is wrong (the official scorer ends with an error there).
    """
    return best(_finds, prediction, references)


def math_calc(prediction: str, references: Sequence[str]) -> float:
    """Share of a list of integers that is right before the first mistake: `math_calc`.

    Args:
        prediction: Generated text; its numbers are its runs of digits, without signs.
        references: Each one whole list, such as `[1, 3, 7]`.

    Raises:
        DataError: If a reference has no numbers.
    """
    return best(_right_prefix, prediction, references)


def dialogue_character(prediction: str, references: Sequence[str]) -> float:
    """1 if any of the right names stands somewhere in the prediction, in whatever case: `longdialogue_qa_eng`."""
    return best(lambda said, right: right.upper() in said.strip().upper(), prediction, references)


def _words(text: str, separators: str) -> list[str]:
    return text.translate(str.maketrans(separators, " " * len(separators))).split()


def _is_integer(words: list[str], right: float) -> bool:
    try:
        return int(words[0]) == right
    except (IndexError, ValueError):  # no word, or no integer; one of thousands of digits is none to Python either
        return False


def _finds(prediction: str, reference: str) -> bool:
    right, found = _number(reference), re.search(r"\d+\.\d+|\d+", prediction)
    if found is None:
        return False
    return _is_integer([found[0]], right) if isinstance(right, int) else float(found[0]) == right


def _number(reference: str) -> int | float:
    try:
        return int(reference) if re.fullmatch(r"\s*[+-]?[0-9]+\s*", reference) else float(reference)
    except ValueError:
        raise DataError(f"reference {reference[:60]!r}: expected a number") from None


def _right_prefix(prediction: str, right: str) -> float:
    expected = re.findall("-?[0-9]+", right)
    if not expected:
        raise DataError(f"reference {right[:60]!r}: expected a list of integers")
    said = re.findall("[0-9]+", prediction)
    correct = 0
    for one, other in zip(said, expected, strict=False):
        if (one.lstrip("0") or "0") != (other.lstrip("0") or "0"):  # as texts: they may have any number of digits
            break
        correct += 1
    return correct / len(expected)
