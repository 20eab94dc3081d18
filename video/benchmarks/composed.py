"""Questions about clips composed of real captioned pictures: what came first, what last, how many, is there any."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.errors import ConfigError
from namm_xmodal.video.benchmarks.parse import only_named
from namm_xmodal.video.benchmarks.question import Composed, Prompt, VideoQuestion
from namm_xmodal.video.composed.clip import FEWEST_FRAMES, MOST_FRAMES, Pool, compose
from namm_xmodal.video.composed.questions import KINDS, questions_about

FIRST_SEED = 2_000_003
"""Clips of `seed` come from list `FIRST_SEED + seed`; training draws from small seeds."""


@dataclass(frozen=True)
class ComposedVideos:
    """Real captioned pictures one after another: first, last, after, count, present, kind and describe.

    Attributes:
        n: Questions.
        frames: Length of the clips, 4 to 64; a list makes equal shares.
        kinds: Question types.
        pictures: `new` shows concepts that `llava-smollm2` was never shown in training, `known` others in new clips.
        seed: Of the list of clips.
        data: Folder of X.png beside X.txt; Tux Paint's stamps without it, fetched with apt-get where absent.
    """

    n: int = 200
    frames: int | list[int] = 16
    kinds: tuple[str, ...] = KINDS
    pictures: Pool = "new"
    seed: int = 0
    data: str = ""

    name = "composed"
    macro = False
    without_unparsed = False

    def __post_init__(self) -> None:
        """Refuses what cannot be composed."""
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
        """Lengths of the clips."""
        return [self.frames] if isinstance(self.frames, int) else list(self.frames)

    def questions(self) -> list[VideoQuestion]:
        """The first `n` questions of the list, clip by clip; lengths take turns."""
        found: list[VideoQuestion] = []
        number = 0
        folder = Path(self.data).expanduser() if self.data else None
        while len(found) < self.n:
            frames = self.lengths[number % len(self.lengths)]
            source = Composed(FIRST_SEED + self.seed, number // len(self.lengths), frames, self.pictures, folder)
            clip = compose(source.seed, source.number, frames, self.pictures, folder)
            for place, asked in enumerate(questions_about(clip)):
                if asked.kind in self.kinds:
                    found.append(
                        VideoQuestion(
                            id=f"{self.pictures}/{source.seed}/{frames}/{source.number}/{place}",
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
        """Video and question; the answer is one of the names in it, or a list of names."""
        return Prompt((range(len(times)), question.question), question.options)

    def parse(self, text: str, question: VideoQuestion) -> int | None:
        """The only option that is named."""
        return only_named(text, question.options)
