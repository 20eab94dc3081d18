"""Finds statements that use a name last seen far back in their file."""

import ast
import builtins
import keyword
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache

_NAME = re.compile(r"[A-Za-z_]\w{7,}")  # shorter names are mostly words of the language or common methods
_KNOWN = frozenset(dir(builtins)) | frozenset(keyword.kwlist)  # a model need not have read these to write them
_SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.Raise, ast.Delete, ast.Assert)


@dataclass(frozen=True)
class CodeLine:
    """A statement on one line.

    Attributes:
        text: The statement, without indentation and without a comment after it.
        start: Character of the file at which it starts.
        number: Line number, from 1.
        recalls: The longest name in it that was last seen far back.
        lines_back: How many lines ago that was.
    """

    text: str
    start: int
    number: int
    recalls: str
    lines_back: int


@lru_cache(maxsize=64)
def recalling_lines(source: str, window: int) -> tuple[CodeLine, ...]:
    """Statements that use a name which occurs in the farther half of a window before them but not in the nearer half.

    Args:
        source: A Python file; one that does not parse has no such lines.
        window: Characters before the statement that a reader is expected to have seen.
    """
    try:
        with warnings.catch_warnings():  # old files contain escapes that Python now warns about
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    starts = _line_starts(source)
    lines = source.split("\n")
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, _SIMPLE) or node.lineno != node.end_lineno or _is_text(node):
            continue
        line = lines[node.lineno - 1]
        # ast counts columns in UTF-8 bytes; a statement behind another one on its line (`a = 1; b = 2`) is left out.
        if not line.isascii() or line[: node.col_offset].strip():
            continue
        start = starts[node.lineno - 1] + node.col_offset
        text = line[node.col_offset : node.end_col_offset]
        if distant := _distant_name(text, source, start, window):
            name, seen = distant
            found.append(CodeLine(text, start, node.lineno, name, source.count("\n", seen, start)))
    return tuple(sorted(found, key=lambda line: line.start))


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a docstring or a bare constant: prose, not code."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _distant_name(text: str, source: str, start: int, window: int) -> tuple[str, int] | None:
    """The longest name last seen in the farther half of the window, and where it stood."""
    first, middle = max(start - window, 0), max(start - window // 2, 0)
    for name in sorted(set(_NAME.findall(text)) - _KNOWN, key=lambda name: (-len(name), name)):
        seen = source.rfind(name, first, start)
        if 0 <= seen < middle:
            return name, seen
    return None


def _line_starts(source: str) -> list[int]:
    starts = [0]
    for match in re.finditer("\n", source):
        starts.append(match.end())
    return starts
