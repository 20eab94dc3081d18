"""Opens only regular files of bounded size; anything else is one line of error."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from namm_xmodal.errors import NammError

MIB = 2**20
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_file(path: Path, *, error: type[NammError], expected: str, most: int | None = None) -> Path:
    """Refuses what is not a regular file: opening a named pipe waits forever, reading a device never ends.

    Args:
        path: The file; links are followed.
        error: What is raised.
        expected: What the file should be, as "a JSON file".
        most: Most bytes it may have; None if the reader takes it piece by piece.

    Returns:
        The path.

    Raises:
        NammError: Of the type `error`.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise error(f"{path}: no such file; expected {expected}") from None
    except (OSError, ValueError) as trouble:  # ValueError: a path with a zero byte
        reason = trouble.strerror if isinstance(trouble, OSError) else trouble
        raise error(f"{path}: cannot be read ({reason}); expected {expected}") from None
    for is_kind, name in _KINDS:
        if is_kind(status.st_mode):
            raise error(f"{path}: cannot be read, it is {name}; expected {expected}")
    if most is not None and status.st_size > most:
        raise error(f"{path}: cannot be read, it has {status.st_size:,} bytes; expected {expected} of at most {most:,}")
    return path


def read_bytes(path: Path, *, error: type[NammError], expected: str, most: int) -> bytes:
    """All of a file.

    Args:
        path: The file.
        error: What is raised.
        expected: What the file should be.
        most: Most bytes it may have.

    Raises:
        NammError: Of the type `error`, if it is absent, no regular file or larger.
    """
    check_file(path, error=error, expected=expected, most=most)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as trouble:
        raise error(f"{path}: cannot be read ({trouble.strerror}); expected {expected}") from None
    if len(content) > most:  # it grew, or it is a file of /proc, which says that it has none
        raise error(f"{path}: cannot be read, it is too long; expected {expected} of at most {most:,} bytes")
    return content


def read_text(path: Path, *, error: type[NammError], expected: str, most: int = 16 * MIB) -> str:
    """A file as UTF-8 text, a byte order mark left out; see `read_bytes`."""
    content = read_bytes(path, error=error, expected=expected, most=most)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as trouble:
        raise error(f"{path}: not UTF-8 text at byte {trouble.start}; expected {expected}, saved as UTF-8") from None


@contextmanager
def refusing(path: Path | str, *, error: type[NammError], expected: str) -> Iterator[None]:
    """Turns any error of a parser into one line.

    Args:
        path: The file, for the message.
        error: What is raised.
        expected: What the file should be.

    Raises:
        NammError: Of the type `error`; errors of this package pass as they are.
    """
    try:
        yield
    except NammError:
        raise
    except Exception as trouble:
        raise error(f"{path}: cannot be read ({reason_of(trouble)}); expected {expected}") from None


def reason_of(trouble: BaseException) -> str:
    """The first line of what an error says, at most 200 characters; its type if it says nothing."""
    said = next((line.strip() for line in str(trouble).splitlines() if line.strip()), type(trouble).__name__)
    if isinstance(trouble, KeyError):
        said = f"it lacks {said}"
    return said if len(said) <= 200 else f"{said[:200]}..."
