"""The backward attention memory (BAM) scorer: tokens attend to newer tokens before they are scored (docs/algorithm.md)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm.scorer import unpack


class BamScorer:
    """One attention head over the cached tokens, then a linear score.

    With x the C features of a token, and attention restricted to the token itself and *newer* ones,

        o = A Wo + bo,   [r | m] = o,   y = x * (1 + m) + r,   score = y w + b.

    Flat layout: W_in (C, 3 * hidden) row-major, its bias, W_out (hidden, 2 * C), its bias, w (C, 1), b (1).
    """

    name = "bam"

    def __init__(self, hidden: int = 32) -> None:
        """Makes a scorer.

        Args:
            hidden: Width of queries, keys and values; 32 as published (4,172 parameters with 25 features).

        Raises:
            ConfigError: If `hidden` is out of range.
        """
        if not 1 <= hidden <= 4096:
            raise ConfigError(f"hidden={hidden}: expected a width in 1 to 4096, 32 as published")
        self.hidden = hidden

    def config(self) -> dict[str, Any]:
        """Hyper-parameters for saving."""
        return {"hidden": self.hidden}

    def num_parameters(self, channels: int) -> int:
        """4,172 for 25 channels and hidden 32."""
        return channels * 3 * self.hidden + 3 * self.hidden + self.hidden * 2 * channels + 2 * channels + channels + 1

    def score(self, features: Tensor, live: Tensor, parameters: Tensor) -> Tensor:
        """See `Scorer.score`."""
        batch, heads, channels, slots = features.shape
        hidden = self.hidden
        w_in, b_in, w_out, b_out, w_score, b_score = unpack(
            parameters,
            [(channels, 3 * hidden), (3 * hidden,), (hidden, 2 * channels), (2 * channels,), (channels,), (1,)],
        )
        # "Newer tokens and itself" is ordinary causal attention on tokens ordered newest first. Dead slots go to the
        # end of that order, where no live token looks, so that no mask is needed at all.
        order = _newest_first(live)  # (B, H, S') int64, or None where a flip does it
        x = features.flip(-1) if order is None else features.gather(-1, order[:, :, None].expand(-1, -1, channels, -1))
        tokens = x.transpose(-1, -2)  # (B, H, S', C)
        q, k, v = torch.split(tokens @ w_in + b_in[..., None, :], hidden, dim=-1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, S', hidden)
        # The score is linear in y, so the residual half of W_out only matters through its product with w:
        # score = x . w + sum_c x_c w_c m_c + A . (W_r w) + (b_r . w + b).
        w_residual, w_gate = torch.split(w_out, channels, dim=-1)  # (.., hidden, C) each
        b_residual, b_gate = torch.split(b_out, channels, dim=-1)
        gate = mixed @ w_gate + (1 + b_gate)[..., None, :]
        weighted = tokens * w_score[..., None, :]
        residual = mixed @ (w_residual @ w_score[..., None])  # (B, H, S', 1)
        constant = (b_residual * w_score).sum(-1, keepdim=True) + b_score
        scores: Tensor = (weighted * gate).sum(-1) + residual[..., 0] + constant
        if order is None:
            return scores.flip(-1)
        return scores.new_zeros(batch, heads, slots).scatter(-1, order, scores)


def _newest_first(live: Tensor) -> Tensor | None:
    """(B, H, S') slots from newest to oldest, dead ones last, S' the most live slots of a head; None if all are live."""
    if bool(live.all()):
        return None
    width = int(live.sum(-1).max())
    order = live.flip(-1).to(torch.int8).argsort(dim=-1, descending=True, stable=True)[..., :width]
    return live.shape[-1] - 1 - order
