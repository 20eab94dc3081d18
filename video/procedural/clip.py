"""One generated video with its questions, the same for the same seed and number on every machine."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.video.procedural.questions import ClipQuestion, questions_about
from namm_xmodal.video.procedural.render import Rendering, render
from namm_xmodal.video.procedural.scene import Scene, draw_scene

SIDE = 48


@dataclass(frozen=True)
class Clip:
    """A video, what happens in it and questions about it."""

    scene: Scene
    rendering: Rendering
    questions: list[ClipQuestion]

    @property
    def video(self) -> NDArray[np.uint8]:
        """(T, side, side, 3) uint8."""
        return self.rendering.frames


def make_clip(seed: int, number: int, frames: int, side: int = SIDE) -> Clip:
    """Clip `number` of the endless list that belongs to `seed`.

    Args:
        seed: Of the list.
        number: Place in the list.
        frames: Length, 4 to 64; lists of other lengths are other lists.
        side: Width and height in pixels. The scene and its questions do not depend on it.
    """
    rng = np.random.default_rng([seed, frames, number])
    scene = draw_scene(rng, frames)
    questions = questions_about(scene, rng)
    return Clip(scene, render(scene, rng, side), questions)
