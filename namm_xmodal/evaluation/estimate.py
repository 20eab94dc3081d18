"""An estimate with its bootstrap interval: what every table, plot and verdict of this package shows of a score."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import DataError

Estimator = Literal["mean", "macro", "iqm"]
"""`mean`: of all values. `macro`: of the means of the strata, which then count alike. `iqm`: of the middle half of all
values, which a few very bad or very good episodes do not move (Agarwal et al., arXiv 2108.13264)."""

FEWEST = 10
"""Samples below which a bootstrap interval is too narrow to be believed, so that nothing is concluded from it."""

Floats = NDArray[np.float64]
_TABLE = 1_000_000  # entries of a table of draws at once: bounds its memory to a few megabytes


@dataclass(frozen=True)
class Estimate:
    """A statistic of some scores, and the interval in which it moves when what was sampled is sampled again.

    Attributes:
        value: The statistic.
        low: Lower end of the interval; None if only one thing was sampled.
        high: Upper end; None if only one thing was sampled.
        n: Scores.
        estimator: Which statistic.
        by_stratum: The same statistic within each stratum, for example of each model; empty without strata.
        level: Coverage, 0.95 for 95%.
        resamples: Bootstrap resamples.
        seed: Seed of the resampling.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    estimator: Estimator
    by_stratum: dict[str, float]
    level: float
    resamples: int
    seed: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def marked(self) -> bool:
        """Whether tables mark it: it excludes zero and has samples enough for that to mean something."""
        return self.n >= FEWEST and self.excludes_zero

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def estimate(
    values: Sequence[float],
    *,
    estimator: Estimator = "mean",
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[str] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """A statistic with its percentile bootstrap interval.

    Clusters are drawn with replacement, as many as there are; the interval holds the middle `level` of the statistics of
    all draws. Equal values give an interval of width zero: with few samples that says little about the tail.

    Args:
        values: One score for each item.
        estimator: The statistic.
        clusters: What each item belongs to, for items that are not independent, such as questions about one video: what
            is drawn is whole clusters. Each item by itself if None.
        strata: The stratum of each item. For `macro` they only weigh items (question types). Otherwise clusters are
            redrawn within each stratum (episodes of each model): the strata are what was chosen, not sampled.
        resamples: How often to draw.
        level: Coverage between 0 and 1.
        seed: Seed of an own generator; no global state is read or changed.

    Raises:
        DataError: If there are no values, one is not finite, or `macro` lacks strata.
    """
    scores = _finite(values)
    if estimator == "macro" and strata is None:
        raise DataError("a macro mean without strata: expected the stratum of each item")
    names, stratum = _numbered([""] * scores.size if strata is None else strata)
    statistic = _Statistic(scores, stratum, estimator)
    within = np.zeros(scores.size, dtype=np.int64) if estimator == "macro" else stratum
    apart = {} if strata is None else {name: statistic.within(place) for place, name in enumerate(names)}
    value, low, high = _interval(statistic, clusters, within, resamples, level, seed)
    return Estimate(value, low, high, scores.size, estimator, apart, level, resamples, seed)


def ratio(
    values: Sequence[float],
    reference: Sequence[float],
    *,
    estimator: Estimator = "mean",
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[str] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate | None:
    """The statistic of `values` over that of `reference` on the same items, such as a score relative to the full cache's.

    Both are redrawn together, so that the interval holds what is uncertain in either.

    Args:
        values: One score for each item.
        reference: Scores of the reference on the same items, in the same order.
        estimator: As in `estimate`.
        clusters: As in `estimate`.
        strata: As in `estimate`.
        resamples: As in `estimate`.
        level: As in `estimate`.
        seed: As in `estimate`.

    Returns:
        None where the reference is not positive, be it in a single draw: a ratio would say nothing.

    Raises:
        DataError: As in `estimate`.
    """
    scores, others = _finite(values), _finite(reference)
    _, stratum = _numbered([""] * scores.size if strata is None else strata)
    above, below = _Statistic(scores, stratum, estimator), _Statistic(others, stratum, estimator)
    within = np.zeros(scores.size, dtype=np.int64) if estimator == "macro" else stratum

    def quotient(weights: Floats) -> Floats:
        divisor = below(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.where(divisor > 0, above(weights) / divisor, np.nan)
        return found

    value, low, high = _interval(quotient, clusters, within, resamples, level, seed)
    if np.isnan(value) or (low is not None and np.isnan(low)):
        return None
    return Estimate(value, low, high, scores.size, estimator, {}, level, resamples, seed)


def mean_ratio(
    values: Sequence[float],
    reference: Sequence[float],
    strata: Sequence[str],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate | None:
    """The mean over strata of their mean of `values` over that of `reference`, such as tasks relative to the full cache.

    Strata whose mean of `reference` is not positive are left out, as a ratio to it would say nothing; `by_stratum` has the
    others. Items are redrawn within each stratum, values with their reference; draws leave out what is not positive.

    Args:
        values: One score for each item.
        reference: Scores of the reference on the same items, in the same order.
        strata: The stratum of each item, such as its task.
        clusters: As in `estimate`.
        resamples: As in `estimate`.
        level: As in `estimate`.
        seed: As in `estimate`.

    Returns:
        None if no stratum is left.

    Raises:
        DataError: As in `estimate`.
    """
    scores, others = _finite(values), _finite(reference)
    names, stratum = _numbered(strata)
    positive = [place for place in range(len(names)) if others[stratum == place].mean() > 0]
    kept = np.isin(stratum, positive)
    if not positive:
        return None
    scores, others = scores[kept], others[kept]
    left, place = _numbered([name for name, used in zip(strata, kept, strict=True) if used])
    member = np.eye(len(left))[place]  # (N, strata)

    def ratios(weights: Floats) -> Floats:
        below = (weights * others) @ member  # (R, strata); counts cancel
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.where(below > 0, (weights * scores) @ member / below, np.nan)
        return found

    def mean(weights: Floats) -> Floats:
        found = ratios(weights)
        there = ~np.isnan(found)
        total: Floats = np.where(there, found, 0).sum(1) / np.maximum(there.sum(1), 1)
        return total

    apart = dict(zip(left, ratios(np.ones((1, len(scores))))[0].tolist(), strict=True))
    chosen = None if clusters is None else [each for each, used in zip(clusters, kept, strict=True) if used]
    value, low, high = _interval(mean, chosen, place, resamples, level, seed)
    return Estimate(value, low, high, scores.size, "macro", apart, level, resamples, seed)


def paired(values: Sequence[float], reference: Sequence[float], **options: Any) -> Estimate:
    """The same statistic of `values - reference` on the same items, with its interval.

    Pairing removes what is common to both (a hard sample is hard for everyone), so the interval is much narrower than
    the two single ones suggest.

    Args:
        values: One score for each item.
        reference: Scores of the reference on the same items, in the same order.
        **options: Of `estimate`.

    Raises:
        DataError: If the lengths differ, or as in `estimate`.
    """
    if len(values) != len(reference):
        raise DataError(f"{len(values)} scores against {len(reference)}: expected the same samples on both sides")
    difference = np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    return estimate(difference.tolist(), **options)


def interquartile_mean(values: Floats, weights: Floats) -> Floats:
    """(N,), (R, N) -> (R,): the mean without the lowest and the highest quarter (rounded down) of the weight.

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


class _Statistic:
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


def _finite(values: Sequence[float]) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0:
        raise DataError(f"bootstrap over {scores.size} values: expected at least one score per sample")
    if not np.isfinite(scores).all():
        bad = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise DataError(f"score of sample {bad} is {scores[bad]}: expected a finite number")
    return scores


def _interval(
    statistic: Callable[[Floats], Floats],
    clusters: Sequence[Hashable] | None,
    within: NDArray[np.int64],
    resamples: int,
    level: float,
    seed: int,
) -> tuple[float, float | None, float | None]:
    """The statistic and the ends of its interval; clusters are drawn within each stratum of `within`."""
    count = len(within)
    _, cluster = _numbered(range(count) if clusters is None else clusters)
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


def _numbered(labels: Sequence[Hashable]) -> tuple[list[Any], NDArray[np.int64]]:
    """Labels in the order of their first appearance, and the number of each item's label."""
    numbers: dict[Hashable, int] = {}
    places = [numbers.setdefault(label, len(numbers)) for label in labels]
    return list(numbers), np.array(places, dtype=np.int64)
