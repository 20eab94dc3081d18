"""Lines of real code sorted by the kind of statement that they start."""

import re
from collections.abc import Sequence
from functools import lru_cache

from namm_xmodal.language.texts import find_texts

KINDS = {
    "assert": r"assert \w",
    "class": r"class \w",
    "comment": r"# \w",
    "def": r"def \w",
    "except": r"except \w",
    "for": r"for \w",
    "from": r"from [\w.]+ import ",
    "if": r"if \w",
    "import": r"import \w",
    "raise": r"raise \w",
    "return": r"return \w",
    "while": r"while \w",
    "with": r"with \w",
}
"""Kind to the pattern a line must start with."""

_SHORTEST, _LONGEST = 12, 60  # characters of a line: enough to be natural, short enough for many examples


@lru_cache(maxsize=2)
def lines_by_kind(texts: str) -> dict[str, Sequence[str]]:
    """Different lines of each kind, without indentation, in order of appearance.

    Args:
        texts: Name of a source of Python code.

    Raises:
        UnknownNameError: If there is no such source.
        DataError: If it is not on this machine.
    """
    found: dict[str, dict[str, None]] = {kind: {} for kind in KINDS}  # a dict keeps order and drops repeats
    for document in find_texts(texts):
        for line in map(str.strip, document.text.splitlines()):
            if _SHORTEST <= len(line) <= _LONGEST:
                for kind, pattern in KINDS.items():
                    if re.match(pattern, line):
                        found[kind][line] = None
                        break
    return {kind: tuple(lines) for kind, lines in found.items()}
