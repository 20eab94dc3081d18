"""Opens a media file, or explains in one sentence why it cannot be opened.

Files are untrusted. Only the file itself is read: FFmpeg may use no protocol but `file`, and no format that names
other files or addresses (playlists, concatenations, device and network descriptions).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from namm_xmodal.errors import EmptyVideoError, MissingVideoError, NotAVideoError
from namm_xmodal.extras import need
from namm_xmodal.trust.files import check_file

av = need("av", "reading videos")
av.logging.set_level(av.logging.PANIC)  # what matters is raised; FFmpeg's own notes name no file

FORMATS = (
    "mov mp4 matroska webm avi mpegts mpeg mpegvideo flv asf ogg gif apng h264 hevc vvc m4v ivf obu mjpeg nut rm wtv mxf "
    "dv yuv4mpegpipe mp3 wav flac aac"
).split()
"""Containers and raw streams that are opened, by FFmpeg's names; those of sound are there to be told apart from rubbish."""

MAX_PIXELS = 4096 * 2304
"""Most pixels of a stored picture: 4K. A decoder may hold some 18 pictures of 6 bytes a pixel, which is 1 GiB."""

_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS), "max_pixels": str(MAX_PIXELS)}
_GENPTS = 1  # AVFMT_FLAG_GENPTS: PyAV invents time stamps where ffmpeg has none


@contextmanager
def open_container(path: Path) -> Iterator[Any]:
    """The file as a container of PyAV; closed at the end, which PyAV needs to be told.

    Raises:
        MissingVideoError: If there is no such file, or it is a folder, pipe or device.
        EmptyVideoError: If it has no bytes.
        NotAVideoError: If it is not a media file.
    """
    check_file(path, error=MissingVideoError, expected="a video file")
    if path.stat().st_size == 0:
        raise EmptyVideoError(f"{path}: the file is empty (0 bytes); download it again")
    try:
        # An absolute path behind `file:`, since FFmpeg reads `http:/host/x.mp4` and `a:b.mp4` as addresses.
        container: Any = av.open(f"file:{path.absolute()}", options=_OPTIONS, metadata_errors="replace")
    except PermissionError:
        raise MissingVideoError(f"{path}: permission denied; check its permissions") from None
    except MemoryError:
        raise  # one of FFmpeg's errors, too
    except (av.error.FFmpegError, OSError) as error:
        raise NotAVideoError(f"{path}: {_diagnosis(path, error)}") from None
    container.flags &= ~_GENPTS
    try:
        yield container
    finally:
        container.close()


def _diagnosis(path: Path, error: Exception) -> str:
    """What the first bytes say about a file that does not open."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.lstrip()[:1] == b"<":
        return "is a web page or XML, not a video; the download needs another address or a login"
    if head.startswith((b"#EXTM3U", b"ffconcat", b"v=0")):
        return "is a playlist of other files; give the video itself"
    if head[4:8] == b"ftyp":
        return "its index (moov) is missing, since the recording or download never finished; download it again"
    reason = getattr(error, "strerror", None) or str(error)
    return f"is not a readable video ({reason.lower()}); check what the file is"
