"""The journal is the checkpoint: an append-only file of JSON lines, each on disk before the run continues."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from namm_xmodal.disk.append_only import AppendOnlyFile
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.generation import Generation
from namm_xmodal.evolution.record import FORMAT, JOURNAL, parse
from namm_xmodal.evolution.shard_line import ShardLine

BINDING = {
    "config": "configuration",
    "strategy": "strategy",
    "seed": "seed",
    "start": "first mean",
    "pressure": "size pressure",
}


class Journal:
    """`journal.jsonl` of a run's folder: a header, one line per finished shard, one per finished generation.

    Attributes:
        path: The file.
        record: What it holds.
    """

    def __init__(
        self, folder: Path, header: dict[str, Any], *, resume: bool = False, notice: Callable[[str], None] = print
    ) -> None:
        """Opens or makes the journal, and locks it against a second run.

        Args:
            folder: The run's folder; made if absent.
            header: `config` (digest), `strategy` (spec), `seed`, `start` (digest of the first mean), `history`
                (tells of the stages before) and whatever else is worth knowing.
            resume: Whether to continue what is there.
            notice: Called when a torn last line is dropped.

        Raises:
            EvolutionError: If there is nothing to resume, or something that was not to be resumed; if it belongs to
                another run or is in use; if it cannot be written.
        """
        self.path = folder / JOURNAL
        self._notice = notice
        if resume and not self.path.exists():
            raise EvolutionError(f"{self.path}: nothing to resume; start the run without --resume")
        self._file = AppendOnlyFile(self.path, error=EvolutionError, elsewhere="choose another folder")
        try:
            self._open(header, resume)
        except BaseException:
            self._file.close()
            raise

    def append(self, line: ShardLine | Generation) -> None:
        """Writes one line and waits until it is on disk.

        Raises:
            EvolutionError: If the disk is full or the file cannot be written; all earlier lines are kept.
        """
        self._write(line.to_json())
        self.record.add(line)

    def close(self) -> None:
        """Closes the file and lets others use it."""
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self, header: dict[str, Any], resume: bool) -> None:
        self.record = parse(self._file.read(), self.path)
        if self.record.header and not resume:
            raise EvolutionError(
                f"{self.path}: a run already exists here; use --resume to continue it, or choose another folder"
            )
        if self.record.header:
            self._check_header(header)
        if self.record.torn:
            self._file.cut(self.record.whole)
            self._notice(
                f"{self.path}: dropped an incomplete last line of {self.record.torn} bytes; its work runs again"
            )
            self.record.torn = 0
        if not self.record.header:
            first = {"kind": "run", "format": FORMAT, **header}
            self._write(first)
            self.record.header = json.loads(json.dumps(first))

    def _check_header(self, header: dict[str, Any]) -> None:
        found = self.record.header
        wanted = json.loads(json.dumps(header))
        for key, what in BINDING.items():
            if found.get(key) != wanted.get(key):
                raise EvolutionError(
                    f"{self.path}: belongs to a run with another {what} ({_short(found.get(key))}, this one is "
                    f"{_short(wanted.get(key))}); resume with its own configuration, or choose another folder"
                )
        if found.get("versions") != wanted.get("versions"):
            self._notice(f"{self.path}: was written by {found.get('versions')}, resumed by {wanted.get('versions')}")

    def _write(self, values: dict[str, Any]) -> None:
        try:
            self._file.append(json.dumps(values, separators=(",", ":"), allow_nan=False))
        except OSError as error:
            raise EvolutionError(f"{self.path}: {disk_trouble(error)}; all lines before it are kept") from None


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text[:12] if isinstance(value, str) else text
