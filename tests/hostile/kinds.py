"""The table of hostile files, and what makes pickles that call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

DEEP = 50_000
"""Lists within one another, where lists are nested."""
FILES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {}
"""Name -> (makes the file in an empty folder and returns its path, opens it)."""


def hostile(opens):
    """Adds the decorated function, which makes a file, with what opens it."""

    def note(make):
        FILES[make.__name__] = make, opens
        return make

    return note


class Call:
    """Pickled as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call
