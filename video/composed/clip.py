"""A composed clip: pictures one after another, each for some frames, and questions that follow from their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.video.composed.pictures import Picture, find_pictures
from namm_xmodal.video.composed.render import render

FEWEST_FRAMES, MOST_FRAMES = 4, 64
FEWEST, MOST = 2, 5
"""Pictures of a clip."""
KNOWN_VARIANTS = 6
"""Variants of a picture that training looks at; clips for evaluation show others."""

Pool = Literal["new", "known"]


@dataclass(frozen=True)
class ComposedClip:
    """What a clip shows.

    Attributes:
        pictures: In order; no two of them could be meant by one word.
        starts: First frame of each; the first is 0.
        variants: (F,) variant of the picture in every frame.
        others: Pictures that are not shown, for wrong answers.
        rng_key: Seeds what is drawn about it later.
    """

    pictures: tuple[Picture, ...]
    starts: tuple[int, ...]
    variants: tuple[int, ...]
    others: tuple[Picture, ...]
    rng_key: tuple[int, ...]

    @property
    def shown(self) -> list[int]:
        """(F,) place of the picture in every frame."""
        ends = [*self.starts[1:], len(self.variants)]
        return [at for at, (start, end) in enumerate(zip(self.starts, ends, strict=True)) for _ in range(start, end)]

    def frames_of(self, place: int) -> tuple[int, ...]:
        """Frames that show one picture."""
        return tuple(at for at, shown in enumerate(self.shown) if shown == place)

    def video(self) -> NDArray[np.uint8]:
        """(F, side, side, 3) uint8."""
        return np.stack(
            [render(self.pictures[at], variant) for at, variant in zip(self.shown, self.variants, strict=True)]
        )


def compose(
    seed: int, number: int, frames: int, pool: Pool = "new", folder: Path | None = None, *, training: bool = False
) -> ComposedClip:
    """Clip `number` of a list.

    Args:
        seed: Of the list.
        number: In the list.
        frames: F, 4 to 64.
        pool: `new` takes pictures of concepts that were never trained on, `known` the others, in new compositions.
        folder: Of captioned pictures; Tux Paint's stamps without it.
        training: Take only the variants of pictures whose features training has computed.
    """
    key = (seed, number, frames, ("new", "known").index(pool))
    available = [picture for picture in find_pictures(folder) if picture.new == (pool == "new")]
    return compose_from(available, key, frames, training=training)


def compose_from(
    available: Sequence[Picture], key: tuple[int, ...], frames: int, *, training: bool = False, most: int = MOST
) -> ComposedClip:
    """A clip of given pictures, at most `most` of them; `key` seeds everything about it."""
    rng = np.random.default_rng(key)
    chosen: list[Picture] = []
    wanted = int(rng.integers(FEWEST, min(most, frames) + 1))
    for at in rng.permutation(len(available)):
        if not any(available[at].clashes(each) for each in chosen):
            chosen.append(available[at])
        if len(chosen) == wanted + 6:
            break
    shown, others = chosen[:wanted], chosen[wanted:]
    starts = (0, *sorted(int(at) for at in rng.choice(np.arange(1, frames), len(shown) - 1, replace=False)))
    variants = rng.integers(0, KNOWN_VARIANTS, frames) if training else rng.integers(1000, 1_000_000, frames)
    return ComposedClip(tuple(shown), starts, tuple(int(each) for each in variants), tuple(others), key)
