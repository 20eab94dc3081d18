"""Bootstrap intervals of a share of right answers, for cards of models; whole videos are drawn, not questions."""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000


def share_interval(
    right: Sequence[int], asked: Sequence[int], seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of sum(right) / sum(asked) over videos.

    Questions about one video are answered alike more often than by chance, so videos are what is resampled.

    Args:
        right: Right answers about each video.
        asked: Questions about each video.
        seed: Of the draw.
        level: Of the interval, in (0, 1).
    """
    counts = np.array([right, asked], dtype=float).T  # (N, 2)
    counts = counts[counts[:, 1] > 0]
    draws = np.random.default_rng(seed).integers(0, len(counts), (RESAMPLES, len(counts)))
    totals = counts[draws].sum(1)  # (R, 2)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [(1 - level) / 2, (1 + level) / 2])
    return round(float(low), 4), round(float(high), 4)
