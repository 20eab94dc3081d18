"""Which letter of a multiple choice an answer means: InfiniteBench's rules and LongBench-v2's."""

import re
from collections.abc import Sequence

from namm_xmodal.errors import DataError


def code_debug(prediction: str, references: Sequence[str]) -> float:
    """InfiniteBench's `code_debug`: 1 if the answer names the letter or the function.

    Right if, in the first line with a capital A to J that stands alone, the last such is the letter; otherwise if the text
    begins with letter or name; otherwise if one follows, after one character, the first that there is
    of `answer is:`, `is:` and `answer:`.

    Args:
        prediction: Generated text.
        references: Letter and name of the function, in any order.
    """
    _some(references)
    text = prediction.strip()
    if _last_letter("A-J", text) in [each for each in references if re.fullmatch("[A-J]", each)]:
        return 1.0
    text = _plain(text, ("\n", "`", "'", '"', "-", "*", "Option", "option"))
    if text.startswith(tuple(references)):
        return 1.0
    return float(bool(_after(text, ("answer is:", "is:", "answer:"), references)))


def choice_letter(prediction: str, references: Sequence[str]) -> float:
    """InfiniteBench's `longbook_choice_eng`: 1 if the answer names the letter or says the choice.

    Right if, in the first line with a capital A to D that stands alone, the last such is the letter; otherwise the first of
    these that applies decides: the text begins with a letter; it is the choice; something follows, after one character,
    `answer is:`, `answer:`, `answer is` or `option is`; a word is a letter.

    Args:
        prediction: Generated text.
        references: Letter and text of the choice, in any order.
    """
    _some(references)
    text = prediction.strip()
    if _last_letter("A-D", text) in references:
        return 1.0
    if not text:
        return 0.0
    if text[0] in "ABCD":
        return float(text[0] in references)
    if text in references:
        return 1.0
    text = _plain(text, ("\n", '"', "'", ".", ",", "?", "!", "{", "}"))
    after = _after(text, ("answer is:", "answer:", "answer is", "option is"), references)
    if after is not None:
        return float(after)
    # As officially, AB, BC, CD, ABC, BCD and ABCD are words that decide, too.
    return float(next((word in references for word in text.split() if word in "ABCD"), False))


def letter(prediction: str, references: Sequence[str]) -> float:
    """LongBench-v2's accuracy: 1 if the letter said is right (THUDM/LongBench, `pred.py`; arXiv:2412.15204).

    The letter is that of the first `The correct answer is (A)`, or else of the first `The correct answer is A`, with
    asterisks left out; A to D.
    """
    _some(references)
    text = prediction.replace("*", "")
    found = re.search(r"The correct answer is \(([A-D])\)", text) or re.search(r"The correct answer is ([A-D])", text)
    return float(found is not None and found[1] in references)


def _some(references: Sequence[str]) -> None:
    if not references:
        raise DataError("no reference answer; expected at least one")


def _last_letter(span: str, text: str) -> str | None:
    """The first letter that stands alone and has no other such letter after it on its line."""
    found = re.search(rf"\b[{span}]\b(?!.*\b[{span}]\b)", text)
    return found[0] if found else None


def _plain(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        text = text.replace(mark, " ")
    return re.sub(" +", " ", text)


def _after(text: str, openings: Sequence[str], right: Sequence[str]) -> bool | None:
    """Whether a right answer stands one character after the first opening that there is; None if there is none."""
    for opening in openings:
        if (at := text.find(opening)) >= 0:
            rest = text[at + len(opening) + 1 :]
            return len(text) > at + len(opening) and rest.startswith(tuple(right))
    return None
