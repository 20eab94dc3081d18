"""Straight-through eviction: hard in the forward pass, soft in the backward pass."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gate:
    """What one update does to the tokens of one layer.

    Attributes:
        open: (B, H, S) float, 1 for kept and 0 for evicted tokens; its gradient is that of sigmoid(score - threshold).
        soft_size: Scalar: a steep sigmoid summed over what may be evicted; its gradient is how the size would change.
    """

    open: Tensor
    soft_size: Tensor


STEEPNESS = 16.0
"""Of the sigmoid that stands for the size. Only tokens near the threshold can change it: with the
gate's own slope of 1, steps "across" the size moved it from 20% to 40% within five."""


def straight_through(margins: Tensor, free: Tensor, kept: Tensor) -> Gate:
    """The gates of tokens that are kept or evicted (Bengio et al., arXiv 1308.3432).

    Forward, a gate is the step function that the policy really applies, so the loss is that of real evictions. Backward,
    it is the sigmoid, so tokens near the threshold learn, evicted ones included: the attention that they would receive
    is known, and with it what they would have been worth.

    Args:
        margins: (B, H, S) scores above the threshold, with gradient.
        free: (B, H, S) bool, live tokens that are not protected; the gates of others are open and have no gradient.
        kept: (B, H, S) bool, what stays.
    """
    soft = torch.sigmoid(margins)
    near = torch.sigmoid(STEEPNESS * margins)
    passed = kept.to(margins.dtype) + (soft - soft.detach())
    return Gate(torch.where(free, passed, torch.ones_like(passed)), torch.where(free, near, 0.0).sum())
