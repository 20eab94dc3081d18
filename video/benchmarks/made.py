"""The base of benchmarks with generated clips: lengths, checks, and the numbering of clips."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from namm_xmodal.errors import ConfigError
from namm_xmodal.video.benchmarks.parse import only_named
from namm_xmodal.video.benchmarks.question import Composed, Generated, Prompt, VideoQuestion
from namm_xmodal.video.composed.questions import ComposedQuestion
from namm_xmodal.video.procedural.questions import ClipQuestion
from namm_xmodal.video.procedural.scene import FEWEST_FRAMES, MOST_FRAMES

FIRST_SEED = 2_000_003
"""Clips of `seed` come from list `FIRST_SEED + seed`; training draws from small seeds."""


@dataclass(frozen=True)
class MadeVideos(ABC):
    """Questions about clips that are made when they are needed.

    Attributes:
        n: Questions.
        frames: Length of the clips, 4 to 64; a list makes equal shares.
        kinds: Question types.
        seed: Of the list of clips.
    """

    n: int = 200
    frames: int | list[int] = 8
    kinds: tuple[str, ...] = ()
    seed: int = 0

    every_kind: ClassVar[tuple[str, ...]] = ()
    name = "made"
    macro = False
    without_unparsed = False

    def __post_init__(self) -> None:
        """Refuses what cannot be made."""
        for length in self.lengths:
            if not FEWEST_FRAMES <= length <= MOST_FRAMES:
                raise ConfigError(f"frames={length}: expected {FEWEST_FRAMES} to {MOST_FRAMES}")
        unknown = [kind for kind in self.kinds if kind not in self.every_kind]
        if unknown or not self.kinds:
            raise ConfigError(f"kinds={list(self.kinds)}: expected some of {', '.join(self.every_kind)}")
        if self.n < 1:
            raise ConfigError(f"n={self.n}: expected at least 1 question")

    @property
    def lengths(self) -> list[int]:
        """Lengths of the clips."""
        return [self.frames] if isinstance(self.frames, int) else list(self.frames)

    @abstractmethod
    def clip(self, number: int, frames: int) -> tuple[Generated | Composed, Sequence[ClipQuestion | ComposedQuestion]]:
        """Clip `number` of the list with this length, and its questions."""

    def clip_id(self, source: Generated | Composed) -> str:
        """How questions about a clip are numbered."""
        return f"{source.seed}/{source.frames}/{source.number}"

    def questions(self) -> list[VideoQuestion]:
        """The first `n` questions of the list, clip by clip; lengths take turns."""
        found: list[VideoQuestion] = []
        number = 0
        while len(found) < self.n:
            frames = self.lengths[number % len(self.lengths)]
            source, every = self.clip(number // len(self.lengths), frames)
            found += [
                VideoQuestion(
                    id=f"{self.clip_id(source)}/{place}",
                    video=source,
                    question=asked.text,
                    options=asked.options,
                    answer=asked.options.index(asked.answer),
                    kind=asked.kind,
                    duration=f"{frames} frames",
                    evidence=asked.evidence,
                )
                for place, asked in enumerate(every)
                if asked.kind in self.kinds
            ]
            number += 1
        return found[: self.n]

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """Video and question; the answer is a word, a name or a list of names."""
        return Prompt((range(len(times)), question.question), question.options)

    def parse(self, text: str, question: VideoQuestion) -> int | None:
        """The only option that is named."""
        return only_named(text, question.options)
