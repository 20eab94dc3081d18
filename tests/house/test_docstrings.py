"""Docstrings read as sections: what stands under Args, Attributes, Returns or Raises is indented below that word."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("namm_xmodal", "adapters", "envs", "video", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if not any(parent.is_symlink() for parent in path.parents)
)
SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:")


def outside_of_its_section(docstring: str) -> list[str]:
    """Lines that follow a section's heading without a blank line between, and are not indented."""
    found, inside = [], False
    for line in docstring.splitlines():
        if line in SECTIONS:
            inside = True
        elif not line.strip():
            inside = False
        elif inside and not line.startswith(" "):
            found.append(line)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sections_are_indented(path):
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    docstrings = [ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds)]
    assert [line for text in docstrings for line in outside_of_its_section(text)] == []


def test_a_line_that_left_its_section_is_found():
    assert outside_of_its_section("A metric.\n\nArgs:\n    name: Its name.\nlow: Least value.") == ["low: Least value."]
    assert outside_of_its_section("A metric.\n\nArgs:\n    name: Its name.\n\nMore words.") == []
