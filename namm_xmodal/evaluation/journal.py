"""An append-only results file: every line is on disk before the next item starts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

from namm_xmodal.config.evaluation import modality_of
from namm_xmodal.disk.append_only import AppendOnlyFile
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.record import Record
from namm_xmodal.trust.json_text import parse_json
from namm_xmodal.types import OnNotice

FORMAT = 2

Settings = dict[str, dict[str, Any]]
"""For each section, the settings that all of its results depend on."""


@dataclass(frozen=True)
class Remedies:
    """Advice about results that cannot be read; it depends on the command.

    Attributes:
        fresh: For a damaged line.
        former: For results of another version.
    """

    fresh: str = "use --fresh (existing results are backed up)"
    former: str = "choose another --output, or use --fresh (existing results are backed up)"

    @classmethod
    def of_reading(cls, folder: Path) -> "Remedies":
        """Advice of a command that only reads a folder."""
        file, place = quote(str(folder / "config.yaml")), quote(str(folder))
        return cls(
            f"run `namm-xmodal eval {file} --output {place} --fresh` (existing results are backed up)",
            "evaluate again, with `namm-xmodal eval FILE --output` and another folder",
        )


class Journal:
    """`results.jsonl`: a header line, a line of settings for each section, and one record per line.

    Attributes:
        path: The file.
        settings: What the records of each section depend on.
        records: What it holds, in the order written.
        unread: Records of modalities that are not installed.
    """

    def __init__(self, path: Path, facts: Mapping[str, type], notice: OnNotice = lambda _: None) -> None:
        """Opens the file for appending; makes it if it does not exist.

        An incomplete last line (after a crash or a full disk) is dropped with a notice. Anything else that does not
        parse is an error, since the file was edited.

        Args:
            path: The file.
            facts: The dataclass of facts of each modality; records of unknown ones are left alone.
            notice: Called when a torn line is dropped.

        Raises:
            ResultsError: If the file is of another format, is in use, or cannot be written.
        """
        self.path, self._facts = path, facts
        self.settings: Settings = {}
        self.records: list[Record] = []
        self.unread = 0
        self._file = AppendOnlyFile(path, error=ResultsError, elsewhere="choose another --output")
        try:
            self._open(notice)
        except BaseException:
            self._file.close()
            raise

    def append(self, record: Record) -> None:
        """Writes one record and waits until it is on disk.

        Raises:
            ResultsError: If the disk is full or the file cannot be written; all earlier records are kept.
        """
        self._write(record.to_json())
        self.records.append(record)

    def add_section(self, name: str, digest: str, settings: dict[str, Any]) -> None:
        """Writes what the records of a section will depend on.

        Raises:
            ResultsError: As `append`.
        """
        self._write(json.dumps({"settings_of": name, "digest": digest, "settings": settings}, separators=(",", ":")))
        self.settings[name] = settings

    def close(self) -> None:
        """Closes the file and lets others use it."""
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self, notice: OnNotice) -> None:
        lines = self._file.read().split(b"\n")
        torn = lines.pop()
        if torn:
            notice(f"{self.path}: dropped an incomplete last line of {len(torn)} bytes; its item runs again")
            self._file.cut(sum(len(line) + 1 for line in lines))
        if not lines:
            created = datetime.now(UTC).isoformat(timespec="seconds")
            self._write(json.dumps({"format": FORMAT, "created": created}, separators=(",", ":")))
            return
        self.settings, self.records, self.unread = _contents(lines, self.path, self._facts, Remedies())

    def _write(self, line: str) -> None:
        try:
            self._file.append(line)
        except OSError as error:
            raise ResultsError(
                f"{self.path}: the {len(self.records)} earlier results are kept; "
                f"{disk_trouble(error, 'run again to resume')}"
            ) from None


def read_journal(
    path: Path, facts: Mapping[str, type], notice: OnNotice = lambda _: None, remedies: Remedies | None = None
) -> list[Record]:
    """The records of a journal; see `read_settings_and_records`."""
    return read_settings_and_records(path, facts, notice, remedies)[1]


def read_settings_and_records(
    path: Path, facts: Mapping[str, type], notice: OnNotice = lambda _: None, remedies: Remedies | None = None
) -> tuple[Settings, list[Record]]:
    """The content of a journal, even while it is being written; nothing is changed.

    Args:
        path: The file.
        facts: The dataclass of facts of each modality; records of unknown ones are left out.
        notice: Called with the news of a torn line.
        remedies: What to advise; what `eval` can do if None.

    Returns:
        By section, what its results depend on; and the records.

    Raises:
        ResultsError: If it cannot be read, or is of another format.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror})") from None
    if lines.pop():
        notice(f"{path}: ignored an incomplete last line")
    return _contents(lines, path, facts, remedies or Remedies())[:2] if lines else ({}, [])


def _contents(
    lines: list[bytes], path: Path, facts: Mapping[str, type], remedies: Remedies
) -> tuple[Settings, list[Record], int]:
    found = _parse(lines[0], path, 1, remedies)
    if found.get("format") != FORMAT:
        raise ResultsError(
            f"{path}: results format {found.get('format')!r}, this version reads {FORMAT}; {remedies.former}"
        )
    settings: Settings = {}
    records, unread = [], 0
    for number, line in enumerate(lines[1:], start=2):
        values = _parse(line, path, number, remedies)
        try:
            if "settings_of" in values:
                settings[str(values["settings_of"])] = values["settings"]
            elif (kind := facts.get(modality_of(str(values["section"])))) is not None:
                records.append(Record.from_json(values, kind))
            else:
                unread += 1
        except KeyError as error:
            raise ResultsError(
                f"{path}: line {number}: has no {error}; fix or remove it, or {remedies.fresh}"
            ) from None
        except ResultsError as error:
            raise ResultsError(f"{path}: line {number}: {error}; {remedies.fresh}") from None
    return settings, records, unread


def _parse(line: bytes, path: Path, number: int, remedies: Remedies) -> dict[str, Any]:
    try:
        values = parse_json(line)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ResultsError(f"{path}: line {number} is not a JSON object; fix or remove it, or {remedies.fresh}")
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
    raise ResultsError(f"{path}: cannot be backed up; remove old copies next to it")
