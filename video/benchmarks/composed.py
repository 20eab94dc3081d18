"""Questions about clips composed of real captioned pictures: what came first, what last, how many, is there any."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from namm_xmodal.video.benchmarks.made import FIRST_SEED, MadeVideos
from namm_xmodal.video.benchmarks.question import Composed, Generated
from namm_xmodal.video.composed.clip import Pool, compose
from namm_xmodal.video.composed.questions import KINDS, ComposedQuestion, questions_about


@dataclass(frozen=True)
class ComposedVideos(MadeVideos):
    """Real captioned pictures one after another: first, last, after, count, present, kind and describe.

    Attributes:
        n: Questions.
        frames: Length of the clips, 4 to 64; a list makes equal shares.
        kinds: Question types.
        pictures: `new` shows concepts that `llava-smollm2` was never shown in training, `known` others in new clips.
        seed: Of the list of clips.
        data: Folder of X.png beside X.txt; Tux Paint's stamps without it, fetched with apt-get where absent.
    """

    frames: int | list[int] = 16
    kinds: tuple[str, ...] = KINDS
    pictures: Pool = "new"
    data: str = ""

    name = "composed"
    every_kind: ClassVar[tuple[str, ...]] = KINDS

    def clip(self, number: int, frames: int) -> tuple[Composed, Sequence[ComposedQuestion]]:
        """Clip `number` of the list with this length, and its questions."""
        folder = Path(self.data).expanduser() if self.data else None
        source = Composed(FIRST_SEED + self.seed, number, frames, self.pictures, folder)
        return source, questions_about(compose(source.seed, number, frames, self.pictures, folder))

    def clip_id(self, source: Generated | Composed) -> str:
        """With the pictures' name."""
        return f"{self.pictures}/{super().clip_id(source)}"
