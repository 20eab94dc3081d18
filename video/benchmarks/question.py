"""One question about one video, the same for every benchmark."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from namm_xmodal.video.benchmarks.subtitles import Subtitle


@dataclass(frozen=True)
class Generated:
    """Names a generated clip instead of a file."""

    seed: int
    number: int
    frames: int


@dataclass(frozen=True)
class Composed:
    """Names a composed clip instead of a file; fields as in `composed.clip.compose`."""

    seed: int
    number: int
    frames: int
    pool: Literal["new", "known"]
    folder: Path | None = None


@dataclass(frozen=True)
class VideoQuestion:
    """What is asked, of what, and what is right.

    Attributes:
        id: As the benchmark calls it.
        video: The file (it may be absent: that is found out when it is loaded), a generated or composed clip, or
            None if the benchmark names no video.
        question: The question alone.
        options: Possible answers.
        answer: Index of the right option; None where the benchmark keeps it secret.
        kind: Type of the question, as the benchmark calls it.
        duration: Duration group, as the benchmark calls it; empty if it has none.
        evidence: Numbers of the frames that hold the evidence, where the benchmark tells.
        subtitles: Of the whole video, in seconds from its start; empty if unused or absent.
        tags: Further labels.
        problem: Why it cannot be asked, in one sentence; empty if it can. Such an item is counted as skipped.
        keyed: Whether the benchmark publishes the right answer, also where a problem hides it.
        place: File and line, for messages; empty if the id is enough to find it.
    """

    id: str
    video: Path | Generated | Composed | None
    question: str
    options: tuple[str, ...]
    answer: int | None
    kind: str
    duration: str = ""
    evidence: tuple[int, ...] = ()
    subtitles: tuple[Subtitle, ...] = ()
    tags: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    keyed: bool = True
    place: str = ""

    @property
    def scored(self) -> bool:
        """Whether it counts in the accuracy, where skipped items count as wrong."""
        return self.keyed if self.problem else self.answer is not None


@dataclass(frozen=True)
class Prompt:
    """What a model reads, before it is made into tokens.

    Attributes:
        segments: Text, and ranges of frames, in order. The chat of the model is put around them.
        candidates: The text of each option whose likelihood is compared, as it would follow the prompt.
        prefix: Beginning of the answer that is given to the model, such as `Best Option: (`.
    """

    segments: tuple[str | range, ...]
    candidates: tuple[str, ...]
    prefix: str = ""
