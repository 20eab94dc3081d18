"""Chooses the video stream of a file, the one that ffmpeg would play."""

from pathlib import Path
from typing import Any

from namm_xmodal.errors import EmptyVideoError, NoVideoStreamError, OversizedVideoError, UnsupportedCodecError
from namm_xmodal.video.open import MAX_PIXELS, av

_NO_MOVING_PICTURES = int(av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails)
_DEFAULT = int(av.stream.Disposition.default)


def video_stream(container: Any, path: Path) -> Any:
    """The largest stream of moving pictures, one marked as default before others; cover pictures of audio files are none.

    Raises:
        NoVideoStreamError: If there is none.
        EmptyVideoError: If the file ends before it says how the video is encoded.
        UnsupportedCodecError: If nothing here decodes it.
        OversizedVideoError: If its pictures have more than `MAX_PIXELS`.
    """
    streams = [
        each for each in container.streams if each.type == "video" and not int(each.disposition) & _NO_MOVING_PICTURES
    ]
    if not streams:
        kinds = sorted({each.type or "unknown" for each in container.streams})
        what = f"no video stream, only {' and '.join(kinds)}" if kinds else "no streams"
        raise NoVideoStreamError(f"{path}: {what}; expected a file with a video stream")
    stream = max(streams, key=_score)
    context = stream.codec_context
    if context is None and not _has_packets(container, stream):
        raise EmptyVideoError(f"{path}: ends before its video begins; the file is truncated or was never finished")
    if context is None:
        raise UnsupportedCodecError(
            f"{path}: no installed decoder for this video's codec (or the file is damaged); convert it to H.264"
        )
    if context.width * context.height > MAX_PIXELS:
        raise OversizedVideoError(
            f"{path}: pictures of {context.width} x {context.height}; at most {MAX_PIXELS:,} pixels are decoded, "
            "scale the video down first"
        )
    stream.thread_type = "NONE"  # one thread per file: many files are read side by side
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}  # what the header does not tell, the decoder finds
    return stream


def _has_packets(container: Any, stream: Any) -> bool:
    try:
        return any(packet.size for packet in container.demux(stream))
    except av.error.FFmpegError:
        return False


def _score(stream: Any) -> tuple[bool, int]:
    """The order of preference of ffmpeg; one that nothing decodes comes last."""
    context = stream.codec_context
    if context is None:
        return False, 0
    return True, context.width * context.height + 5_000_000 * bool(int(stream.disposition) & _DEFAULT)
