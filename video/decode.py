"""Decodes chosen frames with PyAV: decode on while the next keyframe is no nearer, seek where it is."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import CorruptVideoError
from namm_xmodal.video.index import VideoIndex, video_stream
from namm_xmodal.video.open import av, open_container


@dataclass
class Decoded:
    """Frames by their number; those that did not decode are absent.

    Attributes:
        frames: Number of the frame -> (height, width, 3) uint8.
        corrupt: Numbers of frames that decoded with errors.
        scaled_from: Stored (width, height) if frames were scaled down.
    """

    frames: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    corrupt: set[int] = field(default_factory=set)
    scaled_from: tuple[int, int] | None = None


def decode_frames(index: VideoIndex, numbers: Sequence[int], max_side: int = 720) -> Decoded:
    """Decodes frames of a video; memory is bounded by the frames asked for.

    Args:
        index: The video.
        numbers: Which frames, by their place in `index.pts`.
        max_side: See `FrameRequest`.

    Raises:
        CorruptVideoError: If none of them decodes.
    """
    wanted = {index.pts[number]: number for number in sorted(numbers)}
    found = Decoded()
    seeks = index.seekable
    while not _read(index, wanted, max_side, found, seeks):
        found, seeks = Decoded(), False  # a seek landed after its frame: read on from the start instead
    if not found.frames:
        raise CorruptVideoError(f"{index.path}: none of the {len(wanted)} frames asked for decodes; fetch it again")
    return found


def _read(index: VideoIndex, wanted: dict[int, int], max_side: int, found: Decoded, seeks: bool) -> bool:
    """Fills `found`; False if a seek landed where it should not."""
    with open_container(index.path) as container:
        reader = _Reader(container, video_stream(container, index.path), index, seeks)
        for pts, number in wanted.items():
            frame = reader.frame_at(pts)
            if reader.astray:
                return False
            if frame is None:
                continue
            found.frames[number] = _picture(frame, max_side, found)
            if frame.is_corrupt:
                found.corrupt.add(number)
    return True


class _Reader:
    """A position in a stream that moves forward, by decoding or by seeking."""

    def __init__(self, container: Any, stream: Any, index: VideoIndex, seeks: bool) -> None:
        self.container, self.stream, self.index, self.seeks = container, stream, index, seeks
        self.frames = self._decode()
        self.last = index.pts[0]  # time stamp that decoding has reached
        self.current: Any = None  # the frame decoded last
        self.astray = False

    def frame_at(self, pts: int) -> Any:
        """The frame with this time stamp, None if it does not decode. Time stamps must ascend from call to call."""
        key = self.index.keyframes[max(0, bisect_right(self.index.keyframes, pts) - 1)]
        jumped = self.seeks and key > self.last
        if jumped:
            self.container.seek(key, stream=self.stream, backward=True, any_frame=False)
            self.frames, self.current = self._decode(), None
        while self.current is None or self.current.pts < pts:
            frame = next(self.frames, None)
            if frame is None:
                return None
            if jumped and self.current is None and frame.pts > pts:
                self.astray = True
                return None
            self.current, self.last = frame, frame.pts
        return self.current if self.current.pts == pts else None

    def _decode(self) -> Iterator[Any]:
        """Frames in the order they are shown; packets that do not decode are passed over."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                return
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                continue
            yield from (frame for frame in frames if frame.pts is not None)


def _picture(frame: Any, max_side: int, found: Decoded) -> NDArray[np.uint8]:
    """(height, width, 3), upright: the display matrix of telephones' videos is applied."""
    width, height = frame.width, frame.height
    shorter = min(width, height)
    if shorter > max_side:
        found.scaled_from = (width, height)
        width, height = round(width * max_side / shorter), round(height * max_side / shorter)
        picture = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    else:
        picture = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4  # anticlockwise, as np.rot90 turns
    upright: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
    return upright
