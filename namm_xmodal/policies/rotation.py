"""Rotates vectors by a model's rotary embedding, forwards and back."""

import torch
from torch import Tensor


def rotate(vectors: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns (..., D) vectors by (..., R) tables; dimensions beyond the first R <= D stay."""
    width = cosines.shape[-1]
    turned, rest = vectors[..., :width], vectors[..., width:]
    turned = turned * cosines + _quarter_turn(turned, cosines) * sines
    return torch.cat([turned, rest.expand(*turned.shape[:-1], -1)], dim=-1)


def unrotate(vectors: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Undoes `rotate`, including the factor by which some models (YaRN, LongRoPE) scale their tables."""
    squared = cosines.square() + sines.square()
    return rotate(vectors, cosines / squared, -sines / squared)


def _quarter_turn(vectors: Tensor, cosines: Tensor) -> Tensor:
    """Each pair (a, b) becomes (-b, a).

    Most models pair dimension i with i + R/2, and their tables repeat after R/2; a few (Cohere) pair neighbours, and
    their tables repeat each entry at once. The table tells which; equal columns may differ in their last bits, since
    vectorised loops round the remainder of a row differently.
    """
    half = cosines.shape[-1] // 2
    if torch.allclose(cosines[..., :half], cosines[..., half:], atol=1e-4):
        return torch.cat([-vectors[..., half:], vectors[..., :half]], dim=-1)
    return torch.stack([-vectors[..., 1::2], vectors[..., ::2]], dim=-1).flatten(-2)
