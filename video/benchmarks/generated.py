"""Questions about generated videos: the offline default, whose evidence frames are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from namm_xmodal.video.benchmarks.made import FIRST_SEED, MadeVideos
from namm_xmodal.video.benchmarks.question import Generated
from namm_xmodal.video.procedural.clip import make_clip
from namm_xmodal.video.procedural.questions import ClipQuestion
from namm_xmodal.video.procedural.words import KINDS


@dataclass(frozen=True)
class GeneratedVideos(MadeVideos):
    """Moving shapes on textured backgrounds: first, last, after, count, colour, shape, direction and a needle frame.

    Attributes:
        n: Questions.
        frames: Length of the videos, 4 to 64; a list makes equal shares.
        kinds: Question types.
        seed: Of the list of clips.
    """

    kinds: tuple[str, ...] = KINDS

    name = "generated"
    every_kind: ClassVar[tuple[str, ...]] = KINDS

    def clip(self, number: int, frames: int) -> tuple[Generated, Sequence[ClipQuestion]]:
        """Clip `number` of the list with this length, and its questions."""
        source = Generated(FIRST_SEED + self.seed, number, frames)
        return source, make_clip(source.seed, number, frames).questions
