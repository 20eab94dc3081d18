"""Stage one: the vision tower learns, through the projector, to say what is where in single frames.

A question teaches next to nothing about pixels while the vision tower is random, so the tower starts with labels of every
pooled cell. They are read off the *projected* features by linear heads behind a LayerNorm: what the language model will see
then holds colour, shape and sign in directions of comparable size (heads on the tower alone leave them 70 times apart).
Afterwards the projector's last layer is centred and scaled, so that visual embeddings have a size that text can work with.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from namm_xmodal.video.procedural.clip import Clip, make_clip
from namm_xmodal.video.procedural.words import COLOURS, SHAPES, SIGNS

GRID = 3
"""Pooled cells along a side."""
VISUAL_STD = 0.5
"""Standard deviation of visual embeddings after this stage."""
_COVERED = 0.15
"""Share of a cell that a shape must cover to be its label."""


class DenseHeads(nn.Module):
    """Colour, shape, sign (class 0 is "none") and place of every cell from its visual embedding.

    The place is asked for because the language model gets cells as one long row: without it in the embedding, "moves left"
    would have to be worked out from token positions modulo 9.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(
            nn.Linear(width, 1 + len(words)) for words in (COLOURS, SHAPES, SIGNS, range(GRID**2))
        )

    def forward(self, embeddings: Tensor) -> list[Tensor]:
        """(N, width) -> logits (N, classes) for colour, shape, sign and place."""
        normed = self.norm(embeddings)
        return [head(normed) for head in self.heads]


def dense_batch(seed: int, step: int, clips: int, frames: int = 8) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Frames (N, side, side, 3) and labels (N * 9, 4) of colour, shape, sign and place of each cell."""
    pictures, labels = [], []
    for number in range(clips):
        clip = make_clip(seed, step * clips + number, frames)
        pictures.append(clip.video)
        labels.append(cell_labels(clip))
    return np.concatenate(pictures), np.concatenate(labels)


def cell_labels(clip: Clip) -> NDArray[np.int64]:
    """(T * 9, 4): class of colour, shape, sign and place of each cell, row by row."""
    scene, drawn = clip.scene, clip.rendering
    side = drawn.sign_cover.shape[0] // GRID
    covered = drawn.shape_cover.reshape(scene.frames, GRID, side, GRID, side).mean((2, 4)) > _COVERED  # (T, 3, 3)
    labels = np.zeros((scene.frames, GRID, GRID, 4), np.int64)
    labels[..., 3] = 1 + np.arange(GRID**2).reshape(GRID, GRID)
    for event in scene.events:
        span = slice(event.start, event.stop)
        labels[span, ..., 0] = covered[span] * (1 + list(COLOURS).index(event.colour))
        labels[span, ..., 1] = covered[span] * (1 + SHAPES.index(event.shape))
    right, bottom = scene.corner
    labels[scene.sign_frame, bottom * (GRID - 1), right * (GRID - 1), 2] = 1 + SIGNS.index(scene.sign)
    return labels.reshape(-1, 4)


def dense_loss(logits: list[Tensor], labels: Tensor) -> tuple[Tensor, list[float]]:
    """Sum of mean cross entropies, and for colour, shape, sign and place the accuracy over cells that show one."""
    losses, accuracies = [], []
    for column, scores in enumerate(logits):
        wanted = labels[:, column]
        weight = torch.ones(scores.shape[1])
        weight[0] = (0.3, 0.3, 0.05, 1.0)[column]  # most cells are empty
        factor = (1.0, 2.0, 1.0, 0.3)[column]  # shapes are learnt last, places at once
        losses.append(factor * nn.functional.cross_entropy(scores, wanted, weight=weight))
        shown = wanted > 0
        accuracies.append(float((scores.argmax(-1) == wanted)[shown].float().mean()))
    return torch.stack(losses).sum(), accuracies


@torch.no_grad()
def rescale_projector(projector: nn.Module, embeddings: Tensor) -> None:
    """Centres the projector's output and scales it to `VISUAL_STD`.

    Args:
        projector: With a last layer `linear_2`.
        embeddings: (N, width) of what it makes of typical frames.
    """
    last = projector.get_submodule("linear_2")
    assert isinstance(last, nn.Linear)
    centre = embeddings.mean(0)
    factor = VISUAL_STD / float((embeddings - centre).std())
    last.weight.mul_(factor)
    last.bias.sub_(centre).mul_(factor)
