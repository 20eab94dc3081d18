"""The visual tokens of a video, whole or reduced, with the places that they stand for."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from namm_xmodal.video.vision import EncodedVideo


@dataclass(frozen=True)
class VisualTokens:
    """The visual tokens that a model reads.

    Attributes:
        features: (N, D), in order of frame, row and column.
        places: (N, 3) frame, row and column of each.
        positions: (N,) which place among the F * g^2 tokens of a whole video each takes in the text; None to close up.
        full: Tokens of the whole video.
    """

    features: Tensor
    places: Tensor
    positions: Tensor | None
    full: int


def all_tokens(video: EncodedVideo) -> VisualTokens:
    """Every token."""
    frames, cells, _ = video.features.shape
    return VisualTokens(video.features.flatten(0, 1), places(frames, video.grid), None, frames * cells)


def keep(whole: VisualTokens, indices: Tensor) -> VisualTokens:
    """The tokens that `indices` names, in its order, at the positions that they had."""
    return replace(
        whole,
        features=whole.features[indices.to(whole.features.device)],
        places=whole.places[indices.cpu()],
        positions=indices.cpu(),
    )


def places(frames: int, grid: int) -> Tensor:
    """(F * g^2, 3) frame, row, column."""
    return torch.cartesian_prod(torch.arange(frames), torch.arange(grid), torch.arange(grid)).view(-1, 3)
