"""One pass over a video's packets, without decoding: when each frame is shown and where decoding can start."""

from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from namm_xmodal.errors import EmptyVideoError, NoVideoStreamError, UnsupportedCodecError, VideoError
from namm_xmodal.video.open import av, open_container

_SEEKABLE = {"mov", "mp4", "matroska", "webm", "avi"}


@dataclass(frozen=True)
class VideoIndex:
    """What a file holds.

    Attributes:
        path: The file.
        pts: Presentation time stamps of all frames, ascending, in units of `time_base`.
        keyframes: Those of them at which decoding can start, ascending.
        time_base: Seconds per unit.
        promised: Frames that the container's header speaks of; `len(pts)` where it says nothing.
        codec: Name of the codec.
        width: Of the stored picture, before rotation.
        height: Of the stored picture, before rotation.
        seekable: The container has an index of its keyframes, so that a jump lands where it should.
    """

    path: Path
    pts: tuple[int, ...]
    keyframes: tuple[int, ...]
    time_base: Fraction
    promised: int
    codec: str
    width: int
    height: int
    seekable: bool

    def __repr__(self) -> str:
        return (
            f"VideoIndex({self.path.name}: {len(self.pts)} frames of {self.width} x {self.height}, "
            f"{self.duration:.2f} s, {self.codec})"
        )

    @property
    def times(self) -> tuple[float, ...]:
        """Seconds from the first frame to each frame."""
        return tuple(float((pts - self.pts[0]) * self.time_base) for pts in self.pts)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last, taken to last as long as frames do on average."""
        if len(self.pts) < 2:
            return 0.0
        span = float((self.pts[-1] - self.pts[0]) * self.time_base)
        return span * len(self.pts) / (len(self.pts) - 1)

    @property
    def rate(self) -> float:
        """Frames per second on average, 0 for a single frame."""
        return len(self.pts) / self.duration if self.duration else 0.0

    def shown_at(self, seconds: float) -> int:
        """Number of the frame that is on screen at a time; the first before the start, the last after the end."""
        # Time stamps are rounded to the time base, so a time computed from the frame rate may fall a hair short.
        wanted = self.pts[0] + Fraction(seconds).limit_denominator(10**9) / self.time_base + Fraction(1, 100)
        return max(0, bisect_right(self.pts, wanted) - 1)


def index_video(path: str | Path) -> VideoIndex:
    """Reads the packets of a file's first video stream.

    Raises:
        VideoError: One of its kinds, in a plain sentence.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        pts: list[int] = []
        keys: list[int] = []
        unknown = False
        with suppress(av.error.FFmpegError):  # a cut file ends in the middle of a packet: what came before counts
            for packet in container.demux(stream):
                if packet.size == 0 or packet.is_discard:
                    continue
                if packet.pts is None:
                    unknown = True
                    continue
                pts.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        promised, duration = stream.frames, _promised_seconds(container, stream)
        time_base, codec = stream.time_base, stream.codec_context.name
        width, height = stream.codec_context.width, stream.codec_context.height
        seekable = bool(_SEEKABLE & set(container.format.name.split(",")))
    if unknown:
        pts, keys = _decoded_pts(path)
    if not pts or time_base is None:
        raise EmptyVideoError(f"{path}: the video stream has no frames; the file was cut or never finished")
    frames = tuple(sorted(set(pts)))
    if not keys or min(keys) > frames[0]:
        keys.append(frames[0])  # a stream cut out of a longer one: the start is as good a place as any
    if not promised and duration and len(frames) > 1:
        held = float((frames[-1] - frames[0]) * time_base)
        rate = (len(frames) - 1) / held if held else 0.0
        end = max(held, float(frames[-1] * time_base))  # some headers count from 0, some from the first frame
        if duration - end > max(1.0, 0.05 * duration):
            promised = round(duration * rate)
    promised = max(promised, len(frames))
    keyframes = tuple(sorted(set(keys)))
    return VideoIndex(path, frames, keyframes, time_base, promised, codec, width, height, seekable)


def video_stream(container: Any, path: Path) -> Any:
    """The first stream of moving pictures; cover pictures of audio files are none.

    Raises:
        NoVideoStreamError: If there is none.
        UnsupportedCodecError: If nothing here decodes it.
    """
    streams = [each for each in container.streams if each.type == "video" and not _is_cover(each)]
    if not streams:
        kinds = sorted({each.type or "unknown" for each in container.streams}) or ["no"]
        raise NoVideoStreamError(f"{path}: no video stream, only {' and '.join(kinds)}; give a file with pictures")
    stream = streams[0]
    try:
        context = stream.codec_context
    except (av.error.FFmpegError, ValueError):
        context = None
    if context is None:
        raise UnsupportedCodecError(f"{path}: nothing installed decodes this video's codec; convert it to H.264")
    stream.thread_type = "NONE"  # one thread per file: many files are read side by side
    stream.codec_context.thread_count = 1
    return stream


def _is_cover(stream: Any) -> bool:
    return bool(int(stream.disposition) & int(av.stream.Disposition.attached_pic))


def _promised_seconds(container: Any, stream: Any) -> float | None:
    """Length that the header speaks of, if nothing but this stream can be meant."""
    seconds: float | None = None
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None and len(container.streams) == 1:
        seconds = container.duration / av.time_base
    return seconds


def _decoded_pts(path: Path) -> tuple[list[int], list[int]]:
    """Time stamps from decoding everything, for containers whose packets carry none (some AVI files)."""
    pts, keys = [], []
    with open_container(path) as container:
        stream = video_stream(container, path)
        try:
            for packet in container.demux(stream):
                with suppress(av.error.InvalidDataError):
                    for frame in packet.decode():
                        if frame.pts is not None:
                            pts.append(frame.pts)
                            if frame.key_frame:
                                keys.append(frame.pts)
        except av.error.FFmpegError as error:
            if not pts:
                raise VideoError(f"{path}: nothing decodes ({error.strerror})") from None
    return pts, keys
