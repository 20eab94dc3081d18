"""Normalises answers, to decide whether generated text matches a reference.

The rules, in order:

1. Unicode: canonical forms are one (NFC and NFD), case is folded, wide and narrow forms become ordinary ones,
   typographic quotes, apostrophes, hyphens and minus signs become ASCII ones, invisible characters vanish.
2. Runs of white space become one space.
3. At the ends of the line, these are dropped: sentence punctuation of any script; quotes and brackets, unless their
   partner stands inside (`f(x)`); a list bullet or a heading's `#`; `*` and backticks around the whole.

Everything else counts: signs (`-5`), units (`5%`, `$5`), decimal points (`.5`), and names like `C++`, `C#`, `A*`,
`.NET`. A line of nothing but such punctuation counts as it is.
"""

import re
import unicodedata

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))  # soft hyphen, direction marks, BOM
_AS_ASCII = str.maketrans(
    {char: "'" for char in "\u2018\u2019\u201a\u201b\u02bc\u2032"}  # single quotes, apostrophe, prime
    | {char: '"' for char in "\u201c\u201d\u201e\u201f\u2033"}
    | {char: "-" for char in "\u2010\u2011\u2012\u2013\u2212"}  # hyphens, short dashes, minus
)
_PARTNERS = {"(": ")", "[": "]", "{": "}", "'": "'", '"': '"', "«": "»", "\u2039": "\u203a", "「": "」", "『": "』"}
_COUNTS = frozenset("-#%&*@/\\_")  # punctuation by its Unicode category, but part of names, numbers and code
_BULLET = re.compile(r"^(?:#+(?=[ \d])|[-*+] (?!\d)) *")
_EMPHASIS = re.compile(r"(\*{1,3}|`+)(?=\S)(.*\S)\1")


def normalised_answer(line: str) -> str:
    """One line as it is compared: see the rules above."""
    whole = re.sub(r"\s+", " ", _unicode_folded(line)).strip()
    text = _BULLET.sub("", whole, count=1)
    while (shorter := _without_ends(text)) != text:
        text = shorter
    return text or whole


def _unicode_folded(text: str) -> str:
    text = "".join(_ordinary_width(char) for char in text.translate(_INVISIBLE).translate(_AS_ASCII))
    # Folding case can undo a canonical form, so it stands between two of them (Unicode 3.13, D145).
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _ordinary_width(char: str) -> str:
    width = unicodedata.decomposition(char).startswith(("<wide>", "<narrow>"))
    return unicodedata.normalize("NFKC", char) if width else char


def _without_ends(text: str) -> str:
    """Less by one layer: emphasis or partners around the whole, or one character at either end that does not count."""
    text = text.strip()
    if (emphasis := _EMPHASIS.fullmatch(text)) and emphasis[1] not in emphasis[2]:
        return emphasis[2]
    if len(text) > 1 and _PARTNERS.get(text[0]) == text[-1]:
        return text[1:-1]
    if text and _is_dropped(text[-1], text[:-1]):
        return text[:-1]
    if text and _is_dropped(text[0], text[1:]) and not (text[0] == "." and text[1:2].isalnum()):
        return text[1:]
    return text


def _is_dropped(char: str, rest: str) -> bool:
    """Whether a character at an end does not count, given the rest of the line."""
    if char in _COUNTS or not (unicodedata.category(char).startswith("P") or char == "`"):
        return False
    return not any(
        (char == opening and closing in rest) or (char == closing and opening in rest)
        for opening, closing in _PARTNERS.items()
    )
