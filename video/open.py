"""Opens a media file, or says in one sentence why it is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from namm_xmodal.errors import EmptyVideoError, MissingVideoError, NotAVideoError
from namm_xmodal.extras import need

av = need("av", "reading videos")
av.logging.set_level(av.logging.PANIC)  # what matters is raised; FFmpeg's own notes name no file


@contextmanager
def open_container(path: Path) -> Iterator[Any]:
    """The file as a container of PyAV; closed at the end, which PyAV needs to be told.

    Raises:
        MissingVideoError: If there is no such file.
        EmptyVideoError: If it has no bytes.
        NotAVideoError: If it is no media file.
    """
    if path.is_dir():
        raise MissingVideoError(f"{path}: is a folder, expected a video file")
    if not path.exists():
        raise MissingVideoError(f"{path}: no such file; check the folder of the videos")
    if path.stat().st_size == 0:
        raise EmptyVideoError(f"{path}: the file is empty (0 bytes); download it again")
    try:
        container: Any = av.open(str(path))
    except PermissionError:
        raise MissingVideoError(f"{path}: may not be read; check its permissions") from None
    except (av.error.FFmpegError, OSError) as error:
        raise NotAVideoError(f"{path}: {_diagnosis(path, error)}") from None
    try:
        yield container
    finally:
        container.close()


def _diagnosis(path: Path, error: Exception) -> str:
    """What the first bytes say about a file that does not open."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.lstrip()[:1] == b"<":
        return "is a web page or XML, no video; the download needs another address or a login"
    if head[4:8] == b"ftyp":
        return "its index (moov) is missing: the recording or the download never finished; fetch it again"
    reason = getattr(error, "strerror", None) or str(error)
    return f"is not a readable video ({reason.lower()}); check what the file is"
