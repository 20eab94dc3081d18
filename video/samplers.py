"""Which frames of a video a benchmark looks at, by the name of the rule. Reported numbers depend on it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from namm_xmodal.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from namm_xmodal.video.index import VideoIndex

Sampler = Callable[[int, int, float], list[int]]
"""(frames wanted, frames there are, seconds) -> numbers of frames, ascending."""


def linspace(wanted: int, total: int, seconds: float) -> list[int]:
    """First and last frame and evenly between: `np.linspace(0, n - 1, k)` rounded down (LLaVA-NeXT, lmms-eval)."""
    return [int(at) for at in np.linspace(0, total - 1, wanted).astype(int)]


def longvideobench(wanted: int, total: int, seconds: float) -> list[int]:
    """Official LongVideoBench: multiples of `int(n / k)` from 0, at most one frame a second; the tail is never seen.

    Deviates: videos shorter than a second get one frame where the official loader gets none.
    """
    wanted = max(1, min(wanted, int(seconds)))
    step = max(1, total // wanted)
    return [min(step * at, total - 1) for at in range(wanted)]


def segment_centres(wanted: int, total: int, seconds: float) -> list[int]:
    """The middle of each of k equal segments (MVBench, MLVU)."""
    size = (total - 1) / wanted
    return [int(size / 2 + np.round(size * at)) for at in range(wanted)]


def inner_points(wanted: int, total: int, seconds: float) -> list[int]:
    """`int(i n / (k + 1))` for i = 1 to k: neither the first nor the last frame (VLMEvalKit)."""
    return [int(at * total / (wanted + 1)) for at in range(1, wanted + 1)]


SAMPLERS: dict[str, Sampler] = {
    "linspace": linspace,
    "longvideobench": longvideobench,
    "segment_centres": segment_centres,
    "inner_points": inner_points,
}


def check_sampler(name: str) -> None:
    """Refuses a rule that there is none of.

    Raises:
        UnknownNameError: With the nearest names.
    """
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, list(SAMPLERS))


def choose_frames(index: "VideoIndex", sampler: str, wanted: int, by: str = "time") -> list[int]:
    """Numbers of the frames to decode, ascending and without repeats.

    Args:
        index: The video.
        sampler: A name of `SAMPLERS`.
        wanted: Frames; a shorter video gives all it has.
        by: `time` or `index`, see `FrameRequest`.

    Raises:
        UnknownNameError: If there is no such sampler.
        ConfigError: If `wanted` is not positive, or `by` is neither.
    """
    check_sampler(sampler)
    if wanted < 1:
        raise ConfigError(f"frames={wanted}: expected at least 1")
    if by not in ("time", "index"):
        raise ConfigError(f"by={by!r}: expected time or index")
    total = len(index.pts)
    if wanted >= total and sampler != "longvideobench":
        return list(range(total))
    chosen = SAMPLERS[sampler](wanted, total, index.duration)
    if by == "time" and total > 1:
        times = index.times
        # Place x of n frames in time is the frame on screen when x / (n - 1) of the way from first to last has passed.
        chosen = [index.shown_at(at / (total - 1) * times[-1]) for at in chosen]
    return sorted(set(chosen))
