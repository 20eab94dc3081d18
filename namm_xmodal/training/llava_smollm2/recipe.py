"""How long and on what the trained part of a model of real parts is trained."""

from dataclasses import dataclass

import numpy as np

from namm_xmodal.video.composed.clip import MOST


@dataclass(frozen=True)
class PartsRecipe:
    """Sizes of both stages.

    Attributes:
        naming_steps: Steps of the projector alone.
        naming_frames: Frames of such a step; two thirds show classes without pictures.
        naming_rate: Peak learning rate.
        steps: Steps of question answering.
        short_steps: The first of `steps` show short clips of two or three pictures.
        clips: Clips of such a step, with a question of every kind each.
        rate: Peak learning rate of the additions to the language model.
        projector_rate: Peak learning rate of the projector then.
        naming_share: Weight of the naming loss then, so that names without pictures are not unlearnt.
        made_up: Share of a clip's pictures that are classes without pictures.
        spelt: Share of clips whose frames are not seen but are the embeddings of the names themselves, with noise: what
            came first can be learnt there without guessing what a picture shows.
        spelt_noise: Length of that noise, in lengths of a name.
        describe_share: Weight of the mean loss of a description's tokens; other answers weigh by the sum over their
            tokens, of which one decides.
    """

    naming_steps: int = 400
    naming_frames: int = 192
    naming_rate: float = 2e-3
    steps: int = 440
    short_steps: int = 120
    clips: int = 4
    rate: float = 1e-3
    projector_rate: float = 3e-4
    naming_share: float = 0.3
    made_up: float = 0.35
    spelt: float = 0.34
    spelt_noise: float = 0.5
    describe_share: float = 0.3

    @property
    def total(self) -> int:
        """Steps of both stages."""
        return self.naming_steps + self.steps

    def length_at(self, step: int, rng: np.random.Generator) -> tuple[int, int]:
        """Frames of a step's clips, first 4 to 7, later 4 to 12 and one time in five up to 16, and most pictures in one."""
        if step < self.short_steps:
            return int(rng.integers(4, 8)), 3
        return (int(rng.integers(13, 17)) if rng.random() < 0.2 else int(rng.integers(4, 13))), MOST


TINY = PartsRecipe(naming_steps=2, naming_frames=8, steps=2, short_steps=1, clips=2)
"""For tests of the machinery."""
