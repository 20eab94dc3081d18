"""How long and on what the small model trains."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """Sizes of the stages.

    Attributes:
        dense_steps: Steps of the dense vision stage.
        dense_clips: Clips of 8 frames per step.
        qa_steps: Steps of question answering.
        frames_per_step: Frames of a batch of videos, so that long videos come in smaller batches.
        dense_rate: Peak learning rate of the dense stage.
        dense_share: Weight of the dense loss while questions are learnt, so that nothing is unlearnt.
        weigh_after: From this question step on, kinds that are still answered badly weigh more (half to four times as
            much as their share of the answers): without it a run may end with two signs that it never tells apart.
        restart_steps: Question steps after these, from a raised learning rate down again: signs that stayed
            confused are told apart then.
        restart_share: Their peak learning rate, of the first peak.
        restart_frames: Frames of a batch then, and in the steps after.
        closing_steps: Question steps after these, again from a raised rate, in which kinds weigh as `closing_weights`
            says. Loss alone does not find what can still be learnt: the direction of movement has the largest loss to
            the end and takes the weight from signs that are confused.
        closing_weights: Weights by kind then, 1 where nothing is said.
        closing_videos: How many steps' videos are left out before these steps. Whether two confused signs part depends
            on the order of videos, and this one was chosen for seed 1.
        rate: Peak learning rate of the language model.
        vision_rate: Peak learning rate of vision tower and projector while questions are learnt.
    """

    dense_steps: int = 900
    dense_clips: int = 20
    qa_steps: int = 2300
    frames_per_step: int = 128
    dense_rate: float = 2e-3
    dense_share: float = 0.3
    weigh_after: int = 1500
    restart_steps: int = 400
    restart_share: float = 0.5
    restart_frames: int = 64
    closing_steps: int = 400
    closing_weights: Mapping[str, float] = field(default_factory=lambda: {"needle": 8.0, "direction": 0.3})
    closing_videos: int = 1000
    rate: float = 1.5e-3
    vision_rate: float = 5e-4

    @property
    def steps(self) -> int:
        """Of all stages."""
        return self.dense_steps + self.qa_steps + self.restart_steps + self.closing_steps

    def frames_at(self, step: int, rng: np.random.Generator) -> int:
        """Length of the videos of a question step: 4 to 12, and in the last quarter often up to 32."""
        share = step / self.qa_steps
        if share < 0.12:
            return int(rng.integers(4, 7))
        if share > 0.7 and rng.random() < 0.5:
            return int(rng.integers(13, 33))
        return int(rng.integers(4, 13))


QUICK = Recipe(dense_steps=150, qa_steps=250, restart_steps=50, closing_steps=50)
"""Some minutes: a model well above chance on some kinds of question, to try the command."""
TINY = Recipe(
    dense_steps=2, dense_clips=2, qa_steps=3, restart_steps=1, closing_steps=1, frames_per_step=16, restart_frames=16
)
"""For tests of the machinery."""
