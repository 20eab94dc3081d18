"""The journal is the checkpoint: an append-only file of JSON lines, each on disk before the run goes on."""

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

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
            resume: Whether to go on with what is there.
            notice: Told when a torn last line is dropped.

        Raises:
            EvolutionError: If there is nothing to resume, or something that was not to be resumed; if it belongs to
                another run or is in use; if it cannot be written.
        """
        self.path = folder / JOURNAL
        self._notice = notice
        if resume and not self.path.exists():
            raise EvolutionError(f"{self.path}: nothing to resume; start the run without --resume")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise EvolutionError(f"{self.path}: cannot be written ({error.strerror}); choose another folder") from None
        try:
            _lock(self._file, self.path)
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
        self._file.seek(0)
        self.record = parse(self._file.read(), self.path)
        if self.record.header and not resume:
            raise EvolutionError(f"{self.path}: a run is here already; use --resume to go on, or choose another folder")
        if self.record.header:
            self._check_header(header)
        if self.record.torn:
            self._file.truncate(self.record.whole)
            self._notice(
                f"{self.path}: dropped a last line that was cut off after {self.record.torn} bytes; its work runs again"
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
                    f"{self.path}: belongs to a run of another {what} ({_short(found.get(key))}, this one is "
                    f"{_short(wanted.get(key))}); resume with its own configuration, or choose another folder"
                )
        if found.get("versions") != wanted.get("versions"):
            self._notice(f"{self.path}: was written by {found.get('versions')}, resumed by {wanted.get('versions')}")

    def _write(self, values: dict[str, Any]) -> None:
        """Writes a whole line or nothing: what was half-written is cut off again, Ctrl-C included."""
        line = json.dumps(values, separators=(",", ":"), allow_nan=False)
        end = os.fstat(self._file.fileno()).st_size
        rest = memoryview(line.encode() + b"\n")
        try:
            while rest:  # an unbuffered write may take less than it was given
                rest = rest[self._file.write(rest) or 0 :]
            os.fsync(self._file.fileno())
        except BaseException as error:
            with suppress(OSError):  # if even this fails, the next opening drops the torn line
                self._file.truncate(end)
            if isinstance(error, OSError):
                raise EvolutionError(f"{self.path}: {disk_trouble(error)}; all lines before it are kept") from None
            raise


def disk_trouble(error: OSError) -> str:
    """What went wrong with a file and what to do about it, in one phrase."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "the disk is full, free some space and resume" if full else f"{error.strerror}, mend this and resume"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text[:12] if isinstance(value, str) else text


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not a POSIX system: two runs in one folder go unnoticed there
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise EvolutionError(f"{path}: in use by another run; wait for it or choose another folder") from None
    except OSError:  # a file system without locks
        return
