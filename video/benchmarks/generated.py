"""Questions about generated videos: the offline default, whose evidence frames are known."""

from collections.abc import Sequence
from dataclasses import dataclass

from namm_xmodal.errors import ConfigError
from namm_xmodal.video.benchmarks.parse import only_named
from namm_xmodal.video.benchmarks.question import Generated, Prompt, VideoQuestion
from namm_xmodal.video.procedural.clip import make_clip
from namm_xmodal.video.procedural.scene import FEWEST_FRAMES, MOST_FRAMES
from namm_xmodal.video.procedural.words import KINDS

FIRST_SEED = 2_000_003
"""Clips of `seed` come from list `FIRST_SEED + seed`; training draws from small seeds."""


@dataclass(frozen=True)
class GeneratedVideos:
    """Moving shapes on textured backgrounds: first, last, after, count, colour, shape, direction and a needle frame.

    Attributes:
        n: Questions.
        frames: Length of the videos, 4 to 64; a list makes equal shares.
        kinds: Question types.
        seed: Of the list of clips.
    """

    n: int = 200
    frames: int | list[int] = 8
    kinds: tuple[str, ...] = KINDS
    seed: int = 0

    name = "generated"
    macro = False
    without_unparsed = False

    def __post_init__(self) -> None:
        """Refuses what cannot be drawn."""
        for length in self.lengths:
            if not FEWEST_FRAMES <= length <= MOST_FRAMES:
                raise ConfigError(f"frames={length}: expected {FEWEST_FRAMES} to {MOST_FRAMES}")
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ConfigError(f"kinds={list(self.kinds)}: expected some of {', '.join(KINDS)}")
        if self.n < 1:
            raise ConfigError(f"n={self.n}: expected at least 1 question")

    @property
    def lengths(self) -> list[int]:
        """Lengths of the videos."""
        return [self.frames] if isinstance(self.frames, int) else list(self.frames)

    def questions(self) -> list[VideoQuestion]:
        """The first `n` questions of the list, clip by clip; lengths take turns."""
        found: list[VideoQuestion] = []
        number = 0
        while len(found) < self.n:
            frames = self.lengths[number % len(self.lengths)]
            source = Generated(FIRST_SEED + self.seed, number // len(self.lengths), frames)
            clip = make_clip(source.seed, source.number, frames)
            for place, asked in enumerate(clip.questions):
                if asked.kind not in self.kinds:
                    continue
                key = f"{source.seed}/{frames}/{source.number}/{place}"
                found.append(
                    VideoQuestion(
                        id=key,
                        video=source,
                        question=asked.text,
                        options=asked.options,
                        answer=asked.options.index(asked.answer),
                        kind=asked.kind,
                        duration=f"{frames} frames",
                        evidence=asked.evidence,
                    )
                )
            number += 1
        return found[: self.n]

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """Video and question; the answer is a word."""
        return Prompt((range(len(times)), question.question), question.options)

    def parse(self, text: str, question: VideoQuestion) -> int | None:
        """The only option that is named."""
        return only_named(text, question.options)
