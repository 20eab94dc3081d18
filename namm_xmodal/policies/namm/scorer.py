"""From features to scores: the protocol of scorers and the flat parameter vectors that evolution works on."""

from typing import Any, Protocol

import torch
from torch import Tensor


class Scorer(Protocol):
    """A small network without weights of its own: parameters come as flat vectors, one per layer, head or batch row.

    Attributes:
        name: Name in saved policies.
    """

    name: str

    def num_parameters(self, channels: int) -> int:
        """Length of the flat vector for `channels` features per token."""

    def score(self, features: Tensor, live: Tensor, parameters: Tensor) -> Tensor:
        """Scores (B, H, S).

        Args:
            features: (B, H, C, S), tokens oldest first; dead slots hold finite garbage.
            live: (B, H, S) bool; the newest slot is live.
            parameters: (B or 1, H or 1, N) flat vectors.
        """

    def config(self) -> dict[str, Any]:
        """Hyper-parameters for saving."""


def unpack(parameters: Tensor, shapes: list[tuple[int, ...]]) -> list[Tensor]:
    """Splits flat vectors (..., N) into tensors (..., *shape), row-major, in order."""
    sizes = [int(torch.Size(shape).numel()) for shape in shapes]
    parts = parameters.split(sizes, dim=-1)
    return [part.reshape(*parameters.shape[:-1], *shape) for part, shape in zip(parts, shapes, strict=True)]
