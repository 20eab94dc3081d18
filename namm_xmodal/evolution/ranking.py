"""Ranks: what is left of a fitness once its scale is forgotten."""

import numpy as np

from namm_xmodal.evolution.arrays import Array


def ranks(values: Array) -> Array:
    """Rank of every value, 0 the smallest; equal values share the mean of their ranks.

    Shared ranks keep a plateau neutral: where all members score the same (a policy that starts at zero), no strategy
    should drift towards whoever happens to come first.

    Args:
        values: Finite, shape (P,).

    Returns:
        Shape (P,), between 0 and P - 1.
    """
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    first = np.cumsum(count) - count
    shared: Array = (first + (count - 1) / 2.0)[group]
    return shared


def utilities(values: Array, by_rank: Array) -> Array:
    """Hands out one utility per rank; members of equal value share the mean of theirs.

    Args:
        values: Finite, shape (P,); larger is better.
        by_rank: Utility of the best, the second, and so on, shape (P,).

    Returns:
        Utility of each member, shape (P,).
    """
    _, group, count = np.unique(-values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    totals = np.concatenate([[0.0], np.cumsum(by_rank)])
    shared: Array = ((totals[ends] - totals[ends - count]) / count)[group]
    return shared


def rank_agreement(first: Array, second: Array) -> float | None:
    """Spearman's rank correlation of two fitness vectors over the members that are finite in both.

    Args:
        first: Shape (P,).
        second: Shape (P,).

    Returns:
        Between -1 and 1; None where it is not defined (fewer than 3 members, or all equal).
    """
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 3:
        return None
    a, b = ranks(first[both]), ranks(second[both])
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else None
