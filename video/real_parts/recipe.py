"""How long and on what the trained part of a model of real parts is trained."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PartsRecipe:
    """Sizes of both stages.

    Attributes:
        naming_steps: Steps of the projector alone.
        naming_frames: Frames of such a step; two thirds show classes without pictures.
        naming_rate: Peak learning rate.
        steps: Steps of question answering.
        clips: Clips of such a step, with a question of every kind each.
        rate: Peak learning rate of the additions to the language model.
        projector_rate: Peak learning rate of the projector then.
        naming_share: Weight of the naming loss then, so that names without pictures are not unlearnt.
        made_up: Share of a clip's pictures that are classes without pictures.
    """

    naming_steps: int = 400
    naming_frames: int = 192
    naming_rate: float = 2e-3
    steps: int = 100
    clips: int = 4
    rate: float = 1e-3
    projector_rate: float = 3e-4
    naming_share: float = 0.3
    made_up: float = 0.5

    @property
    def total(self) -> int:
        """Steps of both stages."""
        return self.naming_steps + self.steps

    def frames_at(self, rng: np.random.Generator) -> int:
        """Length of a step's clips: 4 to 12, one time in five up to 16."""
        return int(rng.integers(13, 17)) if rng.random() < 0.2 else int(rng.integers(4, 13))


TINY = PartsRecipe(naming_steps=2, naming_frames=8, steps=2, clips=2)
"""For tests of the machinery."""
