"""The perceptron scorer: every token is scored from its own features only (docs/algorithm.md)."""

from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm.scorer import unpack


class MlpScorer:
    """`depth` hidden layers with ReLU and residual connections, then a linear score.

    Deviates: the published code has an MLP without a run configuration (its size in the paper is unknown), averages
    scores instead of features over time, and ignores its middle layers' weights by mistake; here features are averaged
    and every layer counts. The default has about the size of the BAM (hidden 60, depth 2: 5,281 parameters with 25
    features).

    Flat layout: per hidden layer W (in, hidden) row-major and bias, then w (hidden) and b (1).
    """

    name = "mlp"

    def __init__(self, hidden: int = 60, depth: int = 2) -> None:
        """Makes a scorer.

        Args:
            hidden: Width of the hidden layers.
            depth: Number of hidden layers; 0 is a linear scorer.

        Raises:
            ConfigError: If a size is out of range.
        """
        if not 1 <= hidden <= 4096 or not 0 <= depth <= 64:
            raise ConfigError(f"hidden={hidden}, depth={depth}: expected hidden in 1 to 4096 and depth in 0 to 64")
        self.hidden, self.depth = hidden, depth

    def config(self) -> dict[str, Any]:
        """Hyper-parameters for saving."""
        return {"hidden": self.hidden, "depth": self.depth}

    def num_parameters(self, channels: int) -> int:
        """Length of the flat vector."""
        return sum(int(torch.Size(shape).numel()) for shape in self._shapes(channels))

    def score(self, features: Tensor, live: Tensor, parameters: Tensor) -> Tensor:
        """See `Scorer.score`."""
        tensors = unpack(parameters, self._shapes(features.shape[2]))
        x = features.transpose(-1, -2)  # (B, H, S, C)
        for layer in range(self.depth):
            weight, bias = tensors[2 * layer], tensors[2 * layer + 1]
            inner = torch.relu(x @ weight + bias[..., None, :])
            x = inner if layer == 0 else x + inner
        weight, bias = tensors[-2], tensors[-1]
        return (x @ weight[..., None])[..., 0] + bias

    def _shapes(self, channels: int) -> list[tuple[int, ...]]:
        shapes: list[tuple[int, ...]] = []
        width = channels
        for _ in range(self.depth):
            shapes += [(width, self.hidden), (self.hidden,)]
            width = self.hidden
        return [*shapes, (width,), (1,)]
