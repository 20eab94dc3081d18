"""Frames of a video with their times, and how they came to be."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class VideoClip:
    """What was asked of a video.

    Attributes:
        frames: (F, height, width, 3) uint8, upright.
        times: Seconds from the video's first frame, one per frame, ascending.
        duration: Of the whole video, seconds.
        total: Frames of the whole video.
        sampler: How the frames were chosen, in words that belong into results.
        notes: What was salvaged, flagged or scaled, one sentence each; empty for a sound video.
    """

    frames: NDArray[np.uint8]
    times: tuple[float, ...]
    duration: float
    total: int
    sampler: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        count, height, width = self.frames.shape[:3]
        return f"VideoClip({count} frames of {width} x {height}, {self.duration:.1f} s, {self.sampler})"


@dataclass(frozen=True)
class FrameRequest:
    """Which frames of which file, and what to do about damage. Its digest names cached frames.

    Attributes:
        path: The file.
        frames: How many.
        sampler: A name of `SAMPLERS`.
        by: `time`: a video with a variable frame rate is sampled as if each moment counted alike. `index`: as if each
            frame did, which is what upstream code does; both agree at a constant rate.
        salvage: Use what decodes of a damaged video, with a note, instead of refusing it.
        max_side: Frames whose shorter side is longer than this are scaled down, which bounds memory for 4K.
        backend: `pyav` or `decord`.
    """

    path: Path
    frames: int
    sampler: str = "linspace"
    by: str = "time"
    salvage: bool = False
    max_side: int = 720
    backend: str = "pyav"
