"""The bootstrap: statistics of resamples, and the interval over resamples of items or of clusters."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import DataError

Estimator = Literal["mean", "macro", "iqm"]
"""`mean`: of all values. `macro`: of the means of the strata, which then count alike. `iqm`: of the middle half of all
values, which a few very bad or very good episodes do not move (Agarwal et al., arXiv 2108.13264)."""

Floats = NDArray[np.float64]
_TABLE = 1_000_000  # entries of a table of draws at once: bounds its memory to a few megabytes


def interquartile_mean(values: Floats, weights: Floats) -> Floats:
    """Interquartile mean, (N,), (R, N) -> (R,): without the lowest and highest quarter (rounded down) of the weight.

    Args:
        values: Scores.
        weights: How often each is counted, whole numbers; every row has the same sum or its own.
    """
    order = np.argsort(values, kind="stable")
    upper = np.cumsum(weights[:, order], axis=1)  # (R, N)
    total = upper[:, -1:]
    cut = total // 4
    upper = np.clip(upper, cut, total - cut)
    counted = np.diff(upper, axis=1, prepend=cut)
    middle: Floats = counted @ values[order] / (total - 2 * cut)[:, 0]
    return middle


class Statistic:
    """The statistic of draws, each a row that says how often every item was drawn."""

    def __init__(self, scores: Floats, stratum: NDArray[np.int64], estimator: Estimator) -> None:
        self.scores, self.stratum, self.estimator = scores, stratum, estimator
        self.member = np.eye(int(stratum.max()) + 1)[stratum]  # (N, strata)

    def __call__(self, weights: Floats) -> Floats:
        """(R, N) -> (R,)."""
        if self.estimator == "iqm":
            return interquartile_mean(self.scores, weights)
        if self.estimator == "mean":
            mean: Floats = weights @ self.scores / weights.sum(1)
            return mean
        counts = weights @ self.member  # (R, strata)
        means = (weights * self.scores) @ self.member / np.maximum(counts, 1)
        drawn = counts > 0  # a rare stratum may be missing from a draw
        macro: Floats = (means * drawn).sum(1) / drawn.sum(1)
        return macro

    def within(self, stratum: int) -> float:
        """The statistic of one stratum alone."""
        return float(self((self.stratum == stratum)[None].astype(np.float64))[0])


def finite_scores(values: Sequence[float]) -> Floats:
    """(N,) scores.

    Raises:
        DataError: If there are none, or one is not finite.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0:
        raise DataError(f"bootstrap over {scores.size} values: expected at least one score per sample")
    if not np.isfinite(scores).all():
        bad = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise DataError(f"score of sample {bad} is {scores[bad]}: expected a finite number")
    return scores


def bootstrap_interval(
    statistic: Callable[[Floats], Floats],
    clusters: Sequence[Hashable] | None,
    within: NDArray[np.int64],
    resamples: int,
    level: float,
    seed: int,
) -> tuple[float, float | None, float | None]:
    """The statistic and the ends of its interval; clusters are drawn within each stratum of `within`."""
    count = len(within)
    _, cluster = numbered(range(count) if clusters is None else clusters)
    value = float(statistic(np.ones((1, count)))[0])
    if len(set(zip(within.tolist(), cluster.tolist(), strict=True))) < 2:
        return value, None, None
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(within == place) for place in range(int(within.max()) + 1)]
    pools = [np.unique(cluster[places], return_inverse=True) for places in members]
    # One table for each stratum, drawn in turn, so that a result does not depend on how they are worked off below.
    tables = [rng.integers(0, len(pool), (resamples, len(pool))) for pool, _ in pools]
    rows = max(1, _TABLE // count)
    drawn = np.empty(resamples)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        weights = np.empty((stop - start, count))
        for places, (pool, place), table in zip(members, pools, tables, strict=True):
            flat = table[start:stop] + len(pool) * np.arange(stop - start)[:, None]
            times = np.bincount(flat.ravel(), minlength=len(pool) * (stop - start)).reshape(-1, len(pool))
            weights[:, places] = times[:, place]  # (rows, clusters) -> (rows, items)
        drawn[start:stop] = statistic(weights)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return value, float(low), float(high)


def numbered(labels: Sequence[Hashable]) -> tuple[list[Any], NDArray[np.int64]]:
    """Labels in the order of their first appearance, and the number of each item's label."""
    numbers: dict[Hashable, int] = {}
    places = [numbers.setdefault(label, len(numbers)) for label in labels]
    return list(numbers), np.array(places, dtype=np.int64)
