"""From a picture's caption to the short name that questions use, and to what two names have in common."""

import re

_LEADING = re.compile(r"^(a|an|the|some|two|another)\s+", re.IGNORECASE)
_AMOUNT = re.compile(r"^(pair|head|bunch|string|quarter|baby|couple|cluster|cup|tube) of (an? )?", re.IGNORECASE)
_FIRST_PART = re.compile(r"^([^.!,(—;:?]+)([.!,(—]|$)")
_REST = re.compile(
    r"\s+(with|in|of|for|from|at|used|is|lets|resembles|playing|dancing|hatched|inside|as|making|worn|that)\s+"
)
_EMPTY = re.compile(r"^(very|happy|colorful|large|huge|big|little|small|sitting|sleeping|singing|sliced|wooden|old)\s+")
_NO_NAMES = frozenset(
    "ripe part covered toy wings cep plant flower flowers tree thing moon sun earth eye head hair marker stone".split()
)
"""Last words of captions that name nothing one could ask for."""
_SAME = {"headstone": "gravestone", "tombstone": "gravestone", "bunny": "rabbit", "cherry": "cherries"}

MOST_WORDS = 3


def short_name(caption: str) -> str | None:
    """The name in a caption such as `A great blue heron.`; None where the caption is not a plain name.

    Args:
        caption: First line of a description.
    """
    text = caption.strip().translate({0x2019: "'", 0x201C: None, 0x201D: None})  # curly quotes
    part = _FIRST_PART.match(text)
    if part is None or not _LEADING.match(text):
        return None
    name = _AMOUNT.sub("", _LEADING.sub("", part.group(1).strip()))
    name = _REST.split(name)[0].strip()
    while (shorter := _EMPTY.sub("", name)) != name:
        name = shorter
    name = _SAME.get(name.lower(), name)
    words = name.split()
    if not 1 <= len(words) <= MOST_WORDS or concept(name) in _NO_NAMES or not re.fullmatch(r"[A-Za-z' -]+", name):
        return None
    return name


def concept(name: str) -> str:
    """The last word, in small letters: a `red apple` and a `Fuji apple` are both apples."""
    word = name.split()[-1].lower()
    return _SAME.get(word, word)
