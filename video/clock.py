"""When decoded frames are shown: ffmpeg's rules for stamps that are absent, repeated, restarting or not to be trusted."""

from fractions import Fraction
from typing import Any

_NO_TIMESTAMPS, _MAY_JUMP = 0x80, 0x200  # AVFMT_NOTIMESTAMPS (raw streams), AVFMT_TS_DISCONT (MPEG-TS and others)


class Clock:
    """Gives each frame its time stamp; they never descend.

    A raw stream has a constant rate. A frame without a stamp follows the one before it by that one's duration. So does a
    frame whose stamp lies more than 0.1 s before it, or more than 10 s after it where the container's clock may restart:
    parts were joined, and ffmpeg plays them one after the other.

    Attributes:
        joins: How often the stamps restarted.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        flags = int(container.format.flags)
        self._raw, self._may_jump = bool(flags & _NO_TIMESTAMPS), bool(flags & _MAY_JUMP)
        rate: Fraction = stream.codec_context.framerate or stream.guessed_rate or Fraction(25)
        self._second: Fraction = 1 / stream.time_base
        self._usual: Fraction = self._second / rate
        self._best = _BestStamp()
        self._last: int | None = None
        self._duration = max(1, round(self._usual))
        self._offset = 0
        self._count = 0
        self.joins = 0

    def stamp(self, frame: Any) -> int:
        """When the next frame is shown, in units of the stream's time base."""
        self._count += 1
        if self._raw:
            return round((self._count - 1) * self._usual)
        told = self._best(frame.pts, frame.dts)
        last, follows = self._last, 0 if self._last is None else self._last + self._duration
        shown = follows if told is None else told + self._offset
        if last is not None:
            gap = shown - last
            if gap < -self._second / 10 or (self._may_jump and gap > 10 * self._second):
                self._offset += follows - shown
                self.joins += 1
                shown = follows
            shown = max(shown, last)
            step = shown - last
            if step:
                self._duration = step
        if frame.duration and not (frame.duration == 1 and self._duration > 2):  # 1 is often made up
            self._duration = frame.duration
        self._last = shown
        return shown


class _BestStamp:
    """Presentation stamps, or decoding stamps where those are absent or jump back more often (libavcodec's choice)."""

    def __init__(self) -> None:
        self._faulty_pts = self._faulty_dts = 0
        self._last_pts = self._last_dts = -(2**63)

    def __call__(self, pts: int | None, dts: int | None) -> int | None:
        if dts is not None:
            self._faulty_dts += dts <= self._last_dts
            self._last_dts = dts
        elif pts is not None:
            self._last_dts = pts
        if pts is not None:
            self._faulty_pts += pts <= self._last_pts
            self._last_pts = pts
        elif dts is not None:
            self._last_pts = dts
        trusted = self._faulty_pts <= self._faulty_dts or dts is None
        return pts if pts is not None and trusted else dts
