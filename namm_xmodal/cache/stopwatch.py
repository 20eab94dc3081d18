"""The engine's CPU time by part: attending, observing, features, scoring, moving. Free unless switched on."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import process_time
from typing import Literal, TypeVar

T = TypeVar("T")
Part = Literal["attend", "observe", "features", "score", "move"]

_RUNNING: ContextVar["defaultdict[str, float] | None"] = ContextVar("namm_xmodal_stopwatch", default=None)


@contextmanager
def stopwatch() -> Iterator["defaultdict[str, float]"]:
    """Adds up seconds of CPU time by part for the length of a `with` block.

    Parts: `attend` (outputs; in tiled attention, outputs and rows together), `observe` (attention rows beside sdpa),
    `features` (what the policy makes of the rows), `score` (scores and choice), `move` (appending and evicting).
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    token = _RUNNING.set(seconds)
    try:
        yield seconds
    finally:
        _RUNNING.reset(token)


@contextmanager
def timed(part: Part) -> Iterator[None]:
    """Books the block's time under `part`, if a stopwatch runs."""
    seconds = _RUNNING.get()
    if seconds is None:
        yield
        return
    start = process_time()
    try:
        yield
    finally:
        seconds[part] += process_time() - start


def timed_tiles(tiles: Iterator[T], part: Part) -> Iterator[T]:
    """The same tiles; the time to compute each, not what is done with it, is booked under `part`."""
    while True:
        with timed(part):
            tile = next(tiles, None)
        if tile is None:
            return
        yield tile
