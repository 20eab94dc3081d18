"""Options and answer keys, read by one rule for all benchmarks: the published form decides, contradictions are refused."""

import math
import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, Literal

from namm_xmodal.errors import ItemError

LETTERS = ascii_uppercase
"""Of the options: at most 26."""
KeyForm = Literal["letter", "index", "text"]
"""How a benchmark publishes its answers: `B`, 1 (counted from 0), or the option's own text."""

_LABEL = re.compile(r"\s*\(?([A-Z])[.):]\s*(.*)", re.DOTALL)
_LETTER = re.compile(r"\(?([A-Za-z])\)?[.:]?")
_WHOLE = re.compile(r"([+-]?\d{1,9})(\.0*)?")


def absent(value: Any) -> bool:
    """Whether a cell is empty: None, NaN (as tables write it) or blank."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def shortened(value: object) -> str:
    """A value for a message, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_text(value: Any, name: str) -> str:
    """A cell as text; whole numbers are written without `.0`.

    Raises:
        ItemError: If it is a list, an object, or text that no file can hold.
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str | int | float):
        raise ItemError(f"{name} is {shortened(value)}: expected text")
    try:
        str(value).encode()
    except UnicodeEncodeError:
        raise ItemError(f"{name} is {shortened(value)}: expected valid Unicode, found a lone surrogate") from None
    return str(value)


def read_options(given: Any) -> tuple[str, ...]:
    """The options' own texts, without letters in front where all of them carry theirs.

    Raises:
        ItemError: If they are not a list of 2 to 26 texts, or their letters are in another order than they.
    """
    if not isinstance(given, list | tuple):
        raise ItemError(f"options are {shortened(given)}: expected a list of texts")
    if not 2 <= len(given) <= len(LETTERS):
        count = f"{len(given) or 'no'} option{'' if len(given) == 1 else 's'}"
        raise ItemError(f"has {count}: expected 2 to {len(LETTERS)}")
    letters = LETTERS[: len(given)]
    options = tuple(as_text(option, f"option {letter}") for letter, option in zip(letters, given, strict=True))
    labels = [_LABEL.fullmatch(option) for option in options]
    found = "".join(label[1] for label in labels if label)
    if found == letters:
        options = tuple(label[2].strip() for label in labels if label)
    elif sorted(found) == list(letters):
        raise ItemError(f"its options have the letters {', '.join(found)}: expected {', '.join(letters)}")
    empty = [letter for letter, option in zip(letters, options, strict=True) if not option.strip()]
    if empty:
        raise ItemError(f"option {empty[0]} is empty: expected text")
    return options


def read_answer(key: Any, options: Sequence[str], form: KeyForm) -> int:
    """The option that an answer key names.

    The published form is tried first. A key of another form counts only where it can mean one thing: a letter or an
    option's text in place of an index, a text in place of a letter, a letter in place of a text. A number never stands in
    for a letter or a text, since it may count from 0 or from 1.

    Args:
        key: As it stands in the file.
        options: From `read_options`.
        form: How the benchmark publishes its keys.

    Raises:
        ItemError: If the key names no option, or two.
    """
    last = LETTERS[len(options) - 1]
    wanted = {
        "letter": f"a letter of A to {last}",
        "index": f"0 to {len(options) - 1}, a letter of A to {last}, or the text of an option",
        "text": "the text of an option",
    }
    if absent(key) or isinstance(key, bool):
        raise ItemError(f"answer is {shortened(key)}: expected {wanted[form]}")
    text = as_text(key, "answer").strip()
    number = _WHOLE.fullmatch(text)
    if form == "index" and number:
        readings = {int(number[1])}
    elif form == "text" and (found := _by_text(text, options)):
        readings = found
    elif form == "letter" and (found := _by_letter(text, options)):
        readings = found
    elif number and form != "index":
        readings = set()
    else:
        readings = _by_letter(text, options) | _by_text(text, options)
    if len(readings) > 1:
        named = " and ".join(LETTERS[at] for at in sorted(readings))
        raise ItemError(f"answer {shortened(key)} matches options {named}: expected {wanted[form]}")
    if not readings or not 0 <= min(readings) < len(options):
        raise ItemError(f"answer {shortened(key)} is not among its {len(options)} options: expected {wanted[form]}")
    return readings.pop()


def _by_text(text: str, options: Sequence[str]) -> set[int]:
    return {at for at, option in enumerate(options) if option.strip() == text}


def _by_letter(text: str, options: Sequence[str]) -> set[int]:
    """`B`, `(b)`, or `B. text`, whose text must then be that option's."""
    if letter := _LETTER.fullmatch(text):
        return {LETTERS.index(letter[1].upper())} & set(range(len(options)))
    label = _LABEL.fullmatch(text)
    said = _by_text(label[2].strip(), options) if label else set()
    if label and said and LETTERS.index(label[1]) not in said:
        return said | {LETTERS.index(label[1])}
    return said
