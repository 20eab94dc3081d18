"""Decodes chosen frames with PyAV: decode on while the next keyframe is no nearer, seek where it is."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import CorruptVideoError, VideoError
from namm_xmodal.video.frames import FrameReader
from namm_xmodal.video.index import VideoIndex
from namm_xmodal.video.open import av, open_container
from namm_xmodal.video.picture import UPRIGHT, Orientation, orientation_of, picture_of, scaled_size
from namm_xmodal.video.streams import video_stream


class MisleadingPacketsError(VideoError):
    """Raised when other frames come out than the packets' stamps say; an index from decoding everything is right."""


@dataclass
class Decoded:
    """Frames by their number; those that did not decode are absent.

    Attributes:
        frames: Number of the frame -> (height, width, 3) uint8.
        corrupt: Numbers of frames that decoded with errors.
        scaled_from: Stored (width, height) if frames were scaled down.
        resized: Frames whose stored size is not that of the first; they are scaled to it, as ffmpeg does.
    """

    frames: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    corrupt: set[int] = field(default_factory=set)
    scaled_from: tuple[int, int] | None = None
    resized: int = 0


def decode_frames(index: VideoIndex, numbers: Sequence[int], max_side: int = 720) -> Decoded:
    """Decodes frames of a video; memory is bounded by the frames asked for.

    Args:
        index: The video.
        numbers: Which frames, by their place in `index.pts`.
        max_side: See `FrameRequest`.

    Raises:
        CorruptVideoError: If none of them decodes.
        MisleadingPacketsError: If the index, made of packets, turns out not to be that of the frames.
    """
    wanted = sorted(set(numbers))
    found = Decoded()
    seeks = index.by_packets
    while not _read(index, wanted, max_side, found, seeks):
        found, seeks = Decoded(), False  # a seek landed elsewhere: read on from the start instead
    if not found.frames:
        raise CorruptVideoError(f"{index.path}: none of the {len(wanted)} requested frames decodes; download it again")
    return found


def _read(index: VideoIndex, wanted: list[int], max_side: int, found: Decoded, seeks: bool) -> bool:
    """Fills `found`; False if a seek landed where it should not."""
    stored, size, rotation, orientation = (0, 0), (0, 0), 0, UPRIGHT
    with open_container(index.path) as container:
        reader = _Reader(container, video_stream(container, index.path), index, seeks)
        for number in wanted:
            frame = reader.frame(number)
            if reader.astray:
                return False
            if frame is None:
                continue
            if not found.frames:
                stored, rotation = (frame.width, frame.height), frame.rotation
                size = scaled_size(*stored, max_side)
                found.scaled_from = stored if size != stored else None
                orientation = _orientation(index, frame)
            if frame.rotation != rotation:
                raise VideoError(f"{index.path}: the picture is turned within the video; convert it first")
            found.resized += (frame.width, frame.height) != stored
            found.frames[number] = picture_of(frame, size, orientation)
            if frame.is_corrupt:
                found.corrupt.add(number)
    return True


def _orientation(index: VideoIndex, frame: Any) -> Orientation:
    try:
        return orientation_of(frame)
    except VideoError as error:
        raise VideoError(f"{index.path}: {error}") from None


class _Reader:
    """A position in a stream that moves forward, by decoding or seeking; it checks that frames come as the index says."""

    def __init__(self, container: Any, stream: Any, index: VideoIndex, seeks: bool) -> None:
        self.container, self.stream, self.index, self.seeks = container, stream, index, seeks
        self.source = FrameReader(container, stream)
        self.frames: Iterator[Any] = iter(self.source)
        self.at = -1  # number of the frame decoded last
        self.current: Any = None
        self.landing = False  # after a seek, before the first frame that counts
        self.damaged = False
        self.astray = False

    def frame(self, number: int) -> Any:
        """The frame of this number, None if it does not decode. Numbers must ascend from call to call."""
        nearest = bisect_right(self.index.keyframes, number)
        key = self.index.keyframes[nearest - 1] if nearest else 0
        if self.seeks and key > self.at + 1:
            self._jump(key)
        while self.at < number and not self.astray:
            frame = next(self.frames, None)
            self.damaged = self.damaged or self.source.errors > 0 or (frame is not None and frame.is_corrupt)
            if frame is None:
                if self.index.by_packets and not self.damaged and not self.index.missing:
                    raise self._misled()
                return None
            place = self._place(frame)
            if place is not None:
                self.at, self.current = place, frame
        return self.current if self.at == number and not self.astray else None

    def _jump(self, key: int) -> None:
        try:
            self.container.seek(self.index.pts[key], stream=self.stream, backward=True, any_frame=False)
        except av.error.FFmpegError:
            self.astray = True
        self.source = FrameReader(self.container, self.stream)
        self.frames, self.at, self.landing = iter(self.source), key - 1, True

    def _place(self, frame: Any) -> int | None:
        """Which frame of the index this is; None if it is to be passed over."""
        if not self.index.by_packets:
            return self.at + 1
        pts, expected = self.index.pts, self.index.pts[self.at + 1]
        if self.landing:
            if frame.pts is not None and frame.pts < expected:
                return None  # shown before the keyframe
            self.landing = False
            self.astray = frame.pts != expected or not frame.key_frame
            return self.at + 1
        if frame.pts == expected:
            return self.at + 1
        if not self.damaged:
            raise self._misled()
        place = bisect_left(pts, frame.pts) if frame.pts is not None else 0
        return place if self.at < place < len(pts) and pts[place] == frame.pts else None

    def _misled(self) -> MisleadingPacketsError:
        return MisleadingPacketsError(
            f"{self.index.path}: decoded frames do not match its packets; decode the whole file"
        )
