"""Untrusted JSON: bounded in size and depth. Python's parser runs nothing, but deep values break what walks them."""

import json
from pathlib import Path
from typing import Any

from namm_xmodal.errors import NammError
from namm_xmodal.trust.files import MIB, read_text, reason_of

DEEPEST = 64
"""Most lists and objects within one another."""


def parse_json(text: str | bytes, *, unique: bool = False) -> Any:
    """One JSON value.

    Args:
        text: What was written.
        unique: Refuse objects with a repeated key, instead of taking the last value.

    Raises:
        ValueError: If it is none, or is nested more than `DEEPEST` deep.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique if unique else None)
    except RecursionError:
        raise ValueError(f"nested more than {DEEPEST} deep") from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _inside(each) if isinstance(inner, dict | list)]
        if not level:
            return value
    raise ValueError(f"nested more than {DEEPEST} deep")


def check_characters(text: str, value: Any) -> None:
    """Refuses halves of characters (lone surrogates), which JSON can spell and no tokenizer takes.

    Args:
        text: The JSON text of the value.
        value: What was parsed.

    Raises:
        ValueError: If a text in it has one.
    """
    if "\\u" in text:  # only an escape can spell one: most texts have none
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"a lone surrogate, \\u{ord(error.object[error.start]):04x}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in found if keys.count(key) > 1)!r} is repeated")
    return found


def _inside(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def read_json(path: Path, *, error: type[NammError], expected: str, most: int = 32 * MIB) -> Any:
    """The value of a JSON file.

    Args:
        path: The file.
        error: What is raised.
        expected: What the file should be.
        most: Most bytes it may have; in memory a value takes up to 25 times as much.

    Raises:
        NammError: Of the type `error`, if it cannot be read or is not JSON.
    """
    text = read_text(path, error=error, expected=expected, most=most)
    try:
        return parse_json(text)
    except ValueError as trouble:
        raise error(f"{path}: cannot be read ({reason_of(trouble)}); expected {expected}") from None
