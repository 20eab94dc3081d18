"""Neighbours in the cache: tokens side by side, as if dead slots and tokens that do not count were not there."""

from collections.abc import Callable

from torch import Tensor


def side_by_side(which: Tensor) -> Tensor:
    """(B, H, S) bool -> (B, H, S) int64: the slots of `which` first, oldest first, then the others."""
    return (~which).byte().argsort(dim=-1, stable=True)


def pooled(scores: Tensor, which: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    """Pools scores over neighbours.

    Args:
        scores: (B, H, S).
        which: (B, H, S) bool, the tokens that are pooled; the others count as 0 after the newest of them.
        pool: (B, H, S) -> (B, H, S) along the last dimension.

    Returns:
        (B, H, S); what stands in the other slots means nothing.
    """
    order = side_by_side(which)
    packed = scores.masked_fill(~which, 0.0).gather(-1, order)
    return scores.new_zeros(scores.shape).scatter(-1, order, pool(packed))
