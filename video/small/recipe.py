"""How long and on what the small model trains."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """Sizes of both stages.

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
        restart_frames: Frames of a batch then.
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
    rate: float = 1.5e-3
    vision_rate: float = 5e-4

    @property
    def steps(self) -> int:
        """Of all stages."""
        return self.dense_steps + self.qa_steps + self.restart_steps

    def frames_at(self, step: int, rng: np.random.Generator) -> int:
        """Length of the videos of a question step: 4 to 12, and in the last quarter often up to 32."""
        share = step / self.qa_steps
        if share < 0.12:
            return int(rng.integers(4, 7))
        if share > 0.7 and rng.random() < 0.5:
            return int(rng.integers(13, 33))
        return int(rng.integers(4, 13))


QUICK = Recipe(dense_steps=150, qa_steps=250, restart_steps=50)
"""Some minutes: a model well above chance on some kinds of question, to try the command."""
TINY = Recipe(dense_steps=2, dense_clips=2, qa_steps=3, restart_steps=1, frames_per_step=16, restart_frames=16)
"""For tests of the machinery."""
