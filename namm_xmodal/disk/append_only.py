"""An append-only file of lines: each is written whole, and is on disk before the work continues."""

import os
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import cast

from namm_xmodal.disk.whole_file import sync_folder
from namm_xmodal.errors import NammError
from namm_xmodal.trust.files import MIB, check_file

LONGEST = 1024 * MIB
"""Maximum size of a journal in bytes; a run writes a few hundred per minute."""


class AppendOnlyFile:
    """Lines on disk, locked against writes by a second process.

    Attributes:
        path: The file.
    """

    def __init__(
        self,
        path: Path,
        *,
        error: type[NammError],
        elsewhere: str,
        busy: type[NammError] | None = None,
        name: Path | None = None,
    ) -> None:
        """Opens the file; makes it, and its folder, if it does not exist.

        Args:
            path: The file.
            error: What is raised on failure.
            elsewhere: An alternative for the user, such as "choose another --output".
            busy: What is raised if the file is in use; `error` if None.
            name: What messages call it; the file itself if None.

        Raises:
            NammError: Of these types, if the file is in use by another run or cannot be written.
        """
        self.path = path
        if path.exists():
            check_file(path, error=error, expected="a journal", most=LONGEST)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open_locked(path)
            sync_folder(path.parent)
        except BlockingIOError:
            raise (busy or error)(f"{name or path}: in use by another run; wait for it or {elsewhere}") from None
        except OSError as trouble:
            raise error(f"{name or path}: cannot be written ({trouble.strerror}); {elsewhere}") from None

    def read(self) -> bytes:
        """The whole content; anything after the last newline is an incomplete line."""
        self._file.seek(0)
        return self._file.readall()

    def cut(self, size: int) -> None:
        """Drops all after the first `size` bytes."""
        self._file.truncate(size)

    def append(self, line: str) -> None:
        """Writes a line and waits until it is on disk.

        Raises:
            OSError: If writing fails; the file is unchanged.
        """
        _write_whole(self._file, line)

    def close(self) -> None:
        """Closes the file and lets others use it."""
        self._file.close()


def append_line(path: Path, line: str) -> None:
    """Opens a file, drops an incomplete last line, adds one line and waits until it is on disk.

    Raises:
        OSError: If writing fails; the complete lines are unchanged.
    """
    with path.open("a+b", buffering=0) as file:
        file.seek(0)
        whole = file.readall().rfind(b"\n") + 1
        if whole < file.tell():
            file.truncate(whole)
        _write_whole(cast(RawIOBase, file), line)


def _write_whole(file: RawIOBase, line: str) -> None:
    """Truncates half-written data again, also on Ctrl-C."""
    end = os.fstat(file.fileno()).st_size
    rest = memoryview(line.encode() + b"\n")
    try:
        while rest:  # an unbuffered write may take less than it was given
            rest = rest[file.write(rest) or 0 :]
        os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):  # if even this fails, the next opening drops the torn line
            file.truncate(end)
        raise


def _open_locked(path: Path) -> RawIOBase:
    while True:
        file = cast(RawIOBase, path.open("a+b", buffering=0))
        try:
            _lock(file)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its holder has removed it meanwhile: the next one is another file


def _lock(file: RawIOBase) -> None:
    """Raises BlockingIOError if another process holds the file."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: two runs in one folder go unnoticed there
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return
