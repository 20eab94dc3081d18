"""An append-only results file: every line is on disk before the next sample starts, so nothing is ever lost twice."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from namm_xmodal.disk.append_only import AppendOnlyFile
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.record import Record
from namm_xmodal.trust.json_text import parse_json

FORMAT = 1

Notice = Callable[[str], None]


class Journal:
    """`results.jsonl`: a header line that names the configuration, then one record per line.

    Attributes:
        path: The file.
        records: What it holds, in the order written.
    """

    def __init__(
        self,
        path: Path,
        header: dict[str, Any],
        notice: Notice = lambda _: None,
        read: Callable[[dict[str, Any]], Any] = Record.from_json,
    ) -> None:
        """Opens the file for appending; makes it if it does not exist.

        A last line that was cut off (a crash, a full disk) is dropped with a notice. Anything else that does not parse
        is an error: the file was edited.

        Args:
            path: The file.
            header: Must hold `config`, the digest of the configuration; written into a new file.
            notice: Told when a torn line is dropped.
            read: Makes a record of a line; records have `to_json`.

        Raises:
            ResultsError: If the file belongs to another configuration or format, is in use, or cannot be written.
        """
        self.path, self._read = path, read
        self.records: list[Any] = []
        self._file = AppendOnlyFile(path, error=ResultsError, elsewhere="choose another --output")
        try:
            self._open(header, notice)
        except BaseException:
            self._file.close()
            raise

    def append(self, record: Any) -> None:
        """Writes one record and waits until it is on disk.

        Raises:
            ResultsError: If the disk is full or the file cannot be written; all earlier records are kept.
        """
        self._write(record.to_json())
        self.records.append(record)

    def close(self) -> None:
        """Closes the file and lets others use it."""
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self, header: dict[str, Any], notice: Notice) -> None:
        lines = self._file.read().split(b"\n")
        torn = lines.pop()
        if torn:
            notice(f"{self.path}: dropped a last line that was cut off after {len(torn)} bytes; its sample runs again")
            self._file.cut(sum(len(line) + 1 for line in lines))
        if not lines:
            created = datetime.now(UTC).isoformat(timespec="seconds")
            self._write(json.dumps({"format": FORMAT, "created": created, **header}, separators=(",", ":")))
            return
        self._check_header(_parse(lines[0], self.path, 1), header)
        for number, line in enumerate(lines[1:], start=2):
            self.records.append(self._read(_parse(line, self.path, number)))

    def _check_header(self, found: dict[str, Any], header: dict[str, Any]) -> None:
        if found.get("format") != FORMAT:
            raise ResultsError(
                f"{self.path}: results format {found.get('format')!r}, this version reads {FORMAT}; "
                "use --fresh (the old file is kept aside) or another --output"
            )
        if found.get("config") != header["config"]:
            raise ResultsError(
                f"{self.path}: holds results of configuration {found.get('config')}, this one is {header['config']}; "
                "use --fresh (the old file is kept aside) or another --output"
            )

    def _write(self, line: str) -> None:
        try:
            self._file.append(line)
        except OSError as error:
            raise ResultsError(
                f"{self.path}: {len(self.records)} results before this one are kept; "
                f"{disk_trouble(error, 'run again to go on')}"
            ) from None


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        values = parse_json(line)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ResultsError(f"{path}: line {number} is not a JSON object; mend or remove it, or use --fresh")
    return values


def set_aside(path: Path) -> Path | None:
    """Renames a results file so that a fresh one can start; returns its new name."""
    if not path.exists():
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    for attempt in range(1000):
        kept = path.with_name(f"{path.stem}.{stamp}{f'-{attempt}' if attempt else ''}{path.suffix}")
        if not kept.exists():
            path.rename(kept)
            return kept
    raise ResultsError(f"{path}: cannot be set aside; remove old copies beside it")
