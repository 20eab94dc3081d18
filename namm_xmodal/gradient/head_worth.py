"""The value of one more token in each head."""

import torch
from torch import Tensor


class HeadWorth:
    """Lowers the threshold of every head by nothing, and takes the gradient with respect to it.

    Lowering a head's threshold by d keeps d * sum_i sigmoid'(m_i) more of its tokens, softly counted, m_i their margins. So
    the gradient of a loss with respect to d, over that sum, is what one more token changes.
    """

    def __init__(self, layers: int, heads: int, device: torch.device) -> None:
        """For a model of so many layers and kv heads."""
        self.lower = torch.zeros(layers, heads, device=device, requires_grad=True)
        self._tokens = torch.zeros(layers, heads, dtype=torch.float64)

    def lowered(self, margins: Tensor, free: Tensor, layer: int) -> Tensor:
        """The same margins, (B, H, S), with a gradient for the heads of a layer.

        Args:
            margins: (B, H, S) scores above the threshold; infinite where a head is not full.
            free: (B, H, S) bool, tokens that may be evicted.
            layer: Whose heads these are.
        """
        slope = torch.sigmoid(margins.detach())
        near = (slope * (1 - slope)).masked_fill(~free, 0.0).sum((0, 2))  # (H,)
        self._tokens[layer] += near.double().cpu()
        return margins + self.lower[layer][None, :, None]

    def of(self, loss: Tensor) -> Tensor:
        """(L, H) by how much the loss falls with one more token; 0 in heads that keep everything."""
        (gradient,) = torch.autograd.grad(loss, self.lower)
        worth = -gradient.double().cpu() / self._tokens.clamp(min=1e-6)
        return torch.where(self._tokens > 0, worth, 0.0)
