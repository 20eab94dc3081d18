"""What happens in a generated video: shapes that cross the picture one after another, and one frame with a sign."""

from dataclasses import dataclass

import numpy as np

from namm_xmodal.errors import DataError
from namm_xmodal.video.procedural.words import COLOURS, DIRECTIONS, SHAPES, SIGNS

FEWEST_FRAMES, MOST_FRAMES = 4, 64
MOST_EVENT_FRAMES = 12
MOVES_WITHIN = 3
"""Frames an event needs for its direction to be asked."""


@dataclass(frozen=True)
class Event:
    """One shape that crosses the picture.

    Attributes:
        colour: Key of `COLOURS`; no two events of a scene share one.
        shape: One of `SHAPES`.
        direction: Key of `DIRECTIONS`.
        start: First frame.
        stop: One past the last frame.
        radius: Half its width, as a fraction of the picture's side, 0.17 to 0.22.
        path: Centre (x, y) in the first and in the last frame, fractions of the side.
    """

    colour: str
    shape: str
    direction: str
    start: int
    stop: int
    radius: float
    path: tuple[tuple[float, float], tuple[float, float]]

    def centre(self, frame: int) -> tuple[float, float]:
        """(x, y) in [0, 1] at a frame of the event."""
        (x0, y0), (x1, y1) = self.path
        share = (frame - self.start) / max(1, self.stop - self.start - 1)
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0)


@dataclass(frozen=True)
class Scene:
    """A whole video.

    Attributes:
        frames: Its length.
        events: In order of time, never overlapping; between them the background is empty.
        sign: One of `SIGNS`.
        sign_frame: The only frame that shows it.
        corner: (right, bottom) of the picture's corner that shows it.
    """

    frames: int
    events: tuple[Event, ...]
    sign: str
    sign_frame: int
    corner: tuple[int, int]


def draw_scene(rng: np.random.Generator, frames: int) -> Scene:
    """A random scene.

    Args:
        rng: Source of every choice.
        frames: Length, 4 to 64.

    Raises:
        DataError: For a length out of range.
    """
    if not FEWEST_FRAMES <= frames <= MOST_FRAMES:
        raise DataError(f"frames={frames}: expected {FEWEST_FRAMES} to {MOST_FRAMES} frames of a generated video")
    most = min(4, max(2, frames * 2 // 5))
    odds = np.array([0.1, 0.3, 0.3, 0.3][:most])
    count = int(rng.choice(most, p=odds / odds.sum())) + 1
    colours = rng.choice(list(COLOURS), size=count, replace=False)
    shapes = rng.choice(SHAPES, size=count, replace=bool(rng.random() < 0.4))
    events = []
    for (start, stop), colour, shape in zip(_spans(rng, frames, count), colours, shapes, strict=True):
        direction = str(rng.choice(list(DIRECTIONS)))
        radius = float(rng.uniform(0.17, 0.22))
        events.append(Event(str(colour), str(shape), direction, start, stop, radius, _path(rng, direction, radius)))
    return Scene(
        frames=frames,
        events=tuple(events),
        sign=str(rng.choice(SIGNS)),
        sign_frame=int(rng.integers(frames)),
        corner=(int(rng.integers(2)), int(rng.integers(2))),
    )


def _spans(rng: np.random.Generator, frames: int, count: int) -> list[tuple[int, int]]:
    """First and one past the last frame of each event."""
    least = MOVES_WITHIN if frames >= MOVES_WITHIN * count else 2
    shown = int(rng.integers(least * count, min(frames, MOST_EVENT_FRAMES * count) + 1))
    lengths = [least] * count
    for _ in range(shown - least * count):
        room = [event for event in range(count) if lengths[event] < MOST_EVENT_FRAMES]
        lengths[int(rng.choice(room))] += 1
    gaps = rng.multinomial(frames - shown, [1 / (count + 1)] * (count + 1))
    spans, now = [], 0
    for gap, length in zip(gaps, lengths, strict=False):
        now += int(gap)
        spans.append((now, now + length))
        now += length
    return spans


def _path(rng: np.random.Generator, direction: str, radius: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """A straight way of 0.35 to 0.5 sides, the whole shape inside the picture."""
    low, high = radius + 0.02, 0.98 - radius
    length = min(float(rng.uniform(0.35, 0.5)), high - low)
    begin = float(rng.uniform(low, high - length))
    across = float(rng.uniform(low, high))
    ends = (begin, begin + length) if sum(DIRECTIONS[direction]) > 0 else (begin + length, begin)
    if DIRECTIONS[direction][0]:
        return (ends[0], across), (ends[1], across)
    return (across, ends[0]), (across, ends[1])
