"""A journal of finished stages, one line each, on disk before the next stage begins."""

import json
import os
from pathlib import Path
from typing import Any

from namm_xmodal.disk.append_only import LONGEST, append_line
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.errors import ResultsError
from namm_xmodal.trust.files import read_text
from namm_xmodal.trust.json_text import parse_json


class StageJournal:
    """`journal.jsonl`: stages by name, each with what came out of it.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Reads what is there; a last line that was cut off is dropped, its stage runs again.

        Raises:
            ResultsError: If the file cannot be read or written, or was edited.
        """
        self.path = path
        self._done: dict[str, dict[str, Any]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = read_text(path, error=ResultsError, expected="a journal", most=LONGEST) if path.exists() else ""
            whole, _, torn = text.rpartition("\n")
            if torn:
                os.truncate(path, len(whole.encode()) + 1 if whole else 0)
        except OSError as error:
            raise ResultsError(f"{path}: cannot be used ({error.strerror}); choose another --output") from None
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                entry = parse_json(line)
                self._done[entry["stage"]] = entry["result"]
            except (ValueError, KeyError, TypeError):
                raise ResultsError(
                    f"{path}: line {number} is not a finished stage; remove it to run it again"
                ) from None

    def result(self, stage: str) -> dict[str, Any] | None:
        """What came out of a stage, None if it is not finished."""
        return self._done.get(stage)

    def add(self, stage: str, result: dict[str, Any]) -> dict[str, Any]:
        """Notes a finished stage and returns its result.

        Raises:
            ResultsError: If the disk refuses.
        """
        line = json.dumps({"stage": stage, "result": result}, separators=(",", ":"))
        try:
            append_line(self.path, line)
        except OSError as error:
            raise ResultsError(
                f"{self.path}: {disk_trouble(error, 'run the command again')}; the stage runs again"
            ) from None
        self._done[stage] = result
        return result
