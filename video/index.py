"""When each frame is shown and where decoding can start: from the packets where those tell, else by decoding everything."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from namm_xmodal.errors import CorruptVideoError, EmptyVideoError
from namm_xmodal.video.clock import Clock
from namm_xmodal.video.completeness import missing_part
from namm_xmodal.video.frames import FrameReader
from namm_xmodal.video.memory import bounded_memory
from namm_xmodal.video.open import MAX_PIXELS, av, open_container
from namm_xmodal.video.streams import video_stream

_STAMPED = {"mov", "matroska"}
"""Containers that keep a presentation stamp for each packet, and an index to jump by."""
_ONE_FRAME_A_PACKET = {"h264", "hevc", "vp9", "av1"}


@dataclass(frozen=True)
class VideoIndex:
    """What a file holds.

    Attributes:
        path: The file.
        pts: Presentation time stamps of all frames in the order they are shown, in units of `time_base`; never descending.
        keyframes: Numbers of the frames at which decoding can start, ascending; none if frames are found by counting.
        time_base: Seconds per unit.
        missing: What the header promises and the file lacks, in words; empty for a whole file.
        codec: Name of the codec.
        width: Of the stored picture, before rotation.
        height: Of the stored picture, before rotation.
        pixels: Format of its pixels, by FFmpeg's name.
        by_packets: Read from the packets, each of which then gives the frame with its stamp; else from decoding everything.
        undecodable: Packets that did not decode, where everything was decoded.
        joins: How often the stamps restarted; the parts follow one another here.
        edited: Packets that the container hides, by an edit list.
    """

    path: Path
    pts: tuple[int, ...]
    keyframes: tuple[int, ...]
    time_base: Fraction
    missing: str
    codec: str
    width: int
    height: int
    pixels: str
    by_packets: bool
    undecodable: int = 0
    joins: int = 0
    edited: int = 0

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


def index_video(path: str | Path, by_packets: bool = True) -> VideoIndex:
    """Finds the frames that ffmpeg would play.

    Args:
        path: The file.
        by_packets: Read the packets only, where those tell; False decodes everything, which is always right and slow.

    Raises:
        VideoError: One of its kinds, in a plain sentence.
    """
    path = Path(path)
    with bounded_memory(path):
        return (_from_packets(path) if by_packets else None) or _from_decoding(path)


def _from_packets(path: Path) -> VideoIndex | None:
    """One pass without decoding; None where a packet need not be the frame that its stamp says."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        codec = stream.codec.canonical_name
        if codec not in _ONE_FRAME_A_PACKET or not _STAMPED & set(container.format.name.split(",")):
            return None
        packets = hidden = 0
        first: int | None = None
        pts: list[int] = []
        keys: list[int] = []
        try:
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                if packet.pts is None or (first is None and not packet.is_keyframe):
                    return None  # no stamps, or a stream that begins inside a group of pictures
                first = packet.pts if first is None else first
                packets += not packet.is_corrupt
                if packet.is_discard:
                    hidden += 1
                    continue
                pts.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except av.error.FFmpegError:
            pass  # a cut file ends in the middle of a packet: what came before counts
        pts.sort()
        if first is None or not pts or pts[0] < first or any(one == two for one, two in pairwise(pts)):
            return None  # no frames, frames that refer to others before the start, or two with one stamp
        numbers = tuple(bisect_left(pts, stamp) for stamp in sorted(keys))
        missing = missing_part(container, stream, path, packets, len(pts), hidden)
        context = stream.codec_context
        return VideoIndex(
            path,
            tuple(pts),
            numbers,
            stream.time_base,
            missing,
            codec,
            context.width,
            context.height,
            context.pix_fmt or "",
            by_packets=True,
            edited=hidden,
        )


def _from_decoding(path: Path) -> VideoIndex:
    """One pass that decodes every frame and keeps none."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        reader, clock = FrameReader(container, stream), Clock(container, stream)
        pts: list[int] = []
        size = (0, 0)
        for frame in reader:
            pts.append(clock.stamp(frame))
            size = size if len(pts) > 1 else (frame.width, frame.height)
        if not pts and reader.packets:
            raise CorruptVideoError(
                f"{path}: nothing decodes; the file is damaged, or its pictures have more than {MAX_PIXELS:,} pixels"
            )
        if not pts or stream.time_base is None:
            raise EmptyVideoError(
                f"{path}: the video stream has no frames; the file is truncated or was never finished"
            )
        missing = missing_part(container, stream, path, reader.packets, len(pts), 0)
        return VideoIndex(
            path,
            tuple(pts),
            (),
            stream.time_base,
            missing,
            stream.codec.canonical_name,
            *size,
            stream.codec_context.pix_fmt or "",
            by_packets=False,
            undecodable=reader.errors,
            joins=clock.joins,
        )
