"""Whose a folder is: its marker says so; a folder without one is known by how its journal begins."""

from pathlib import Path
from typing import Any

from namm_xmodal.trust.json_text import parse_json

MARKER = ".namm-xmodal.json"

_JOURNALS = {b'{"kind":"run"': "evolve", b'{"stage":': "prepare rl", b'{"done":': "prepare video"}
_RESULTS = {"benchmark": "video-qa", "episodes": "rollout", "tasks": "eval"}
"""What only the configuration of that command had, when it stood in the first line of `results.jsonl`."""


def owner_of(folder: Path) -> str | None:
    """The command that writes into a folder, as "eval" or "warm-start"; None if no command is known to.

    Args:
        folder: Need not exist.
    """
    marked = marked_owner(folder)
    if marked is not None:
        return marked
    if _first_line(folder / "gradient.jsonl").startswith(b'{"kind": "run"'):
        return "warm-start"
    journal = _first_line(folder / "journal.jsonl")
    for beginning, command in _JOURNALS.items():
        if journal.startswith(beginning):
            return command
    header = _values(_first_line(folder / "results.jsonl"))
    settings = header.get("settings")
    if isinstance(settings, dict):
        return next((command for key, command in _RESULTS.items() if key in settings), None)
    return "eval" if isinstance(header.get("format"), int) and "created" in header else None


def marked_owner(folder: Path) -> str | None:
    """What the marker says; None if it is missing or damaged."""
    command = _values(_first_line(folder / MARKER)).get("command")
    return command if isinstance(command, str) else None


def _first_line(path: Path, most: int = 2**20) -> bytes:
    try:
        if path.is_file():
            with path.open("rb") as file:
                return file.readline(most)
    except OSError:
        pass
    return b""


def _values(text: bytes) -> dict[str, Any]:
    try:
        values = parse_json(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
