"""Whose a folder is: its marker says so; a folder from before there were markers is known by how its journal begins."""

from pathlib import Path
from typing import Any

from namm_xmodal.trust.json_text import parse_json

MARKER = ".namm-xmodal.json"

_JOURNALS = {b'{"kind":"run"': "evolve", b'{"stage":': "prepare rl", b'{"done":': "prepare video"}
_RESULTS = {"benchmark": "video-qa", "episodes": "rollout", "tasks": "eval"}
"""What only the configuration of that command has; it stands in the first line of `results.jsonl`."""


def owner_of(folder: Path) -> str | None:
    """The command that writes into a folder, as "eval" or "warm-start"; None if no command is known to.

    Args:
        folder: Need not exist.
    """
    marker = _values(_first_line(folder / MARKER))
    if "command" in marker:
        return str(marker["command"])
    if _first_line(folder / "gradient.jsonl").startswith(b'{"kind": "run"'):
        return "warm-start"
    journal = _first_line(folder / "journal.jsonl")
    for beginning, command in _JOURNALS.items():
        if journal.startswith(beginning):
            return command
    settings = _values(_first_line(folder / "results.jsonl")).get("settings")
    if isinstance(settings, dict):
        return next((command for key, command in _RESULTS.items() if key in settings), None)
    return None


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
