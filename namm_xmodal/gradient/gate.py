"""Eviction that a gradient can pass: decided hard, differentiated soft."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gate:
    """What one update does to the tokens of one layer.

    Attributes:
        open: (B, H, S) float, 1 for kept and 0 for evicted tokens; its gradient is that of sigmoid(score - threshold).
        kept: (B, H, S) bool.
        soft_size: Scalar: a steep sigmoid summed over what may be evicted; its gradient is how the size would change.
    """

    open: Tensor
    kept: Tensor
    soft_size: Tensor


STEEPNESS = 16.0
"""Of the sigmoid that stands for the size. Only tokens near the threshold can change it: with the
gate's own slope of 1, steps "across" the size moved it from 20% to 40% within five."""


def straight_through(scores: Tensor, live: Tensor, protected: Tensor, threshold: float) -> Gate:
    """Keeps live tokens that score at least `threshold`, and protected ones (Bengio et al., arXiv 1308.3432).

    Forward, the gate is the step function that the policy really applies, so the loss is that of real evictions. Backward,
    it is the sigmoid, so tokens near the threshold learn, evicted ones included: the attention that they would receive
    is known, and with it what they would have been worth.

    Args:
        scores: (B, H, S), with gradient.
        live: (B, H, S) bool, tokens still cached.
        protected: (B, H, S) bool.
        threshold: Scores from here on are kept.
    """
    free = live & ~protected
    soft = torch.sigmoid(scores - threshold)
    near = torch.sigmoid(STEEPNESS * (scores - threshold))
    hard = (scores.detach() >= threshold).to(scores.dtype)
    passed = hard + (soft - soft.detach())
    kept = live & ((hard > 0) | protected)
    return Gate(torch.where(free, passed, torch.ones_like(passed)), kept, torch.where(free, near, 0.0).sum())
