"""A score with its bootstrap interval, as shown in every table, plot and verdict."""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from namm_xmodal.errors import DataError
from namm_xmodal.evaluation.bootstrap import Estimator, Statistic, bootstrap_interval, finite_scores, numbered

FEWEST = 10
"""Below this number of samples, bootstrap intervals are too narrow to be trusted and no conclusion is drawn."""


@dataclass(frozen=True)
class Estimate:
    """A statistic of some scores, with its bootstrap interval.

    Attributes:
        value: The statistic.
        low: Lower end of the interval; None with a single sample or cluster.
        high: Upper end; None with a single sample or cluster.
        n: Number of scores.
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
        """Whether tables mark it: it excludes zero and has enough samples."""
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

    Clusters are drawn with replacement, as many as there are; the interval holds the middle `level` of the statistics
    of all draws. Equal values give an interval of width zero: with few samples that says little about the tail.

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
    scores = finite_scores(values)
    if estimator == "macro" and strata is None:
        raise DataError("a macro mean without strata: expected the stratum of each item")
    names, stratum = numbered([""] * scores.size if strata is None else strata)
    statistic = Statistic(scores, stratum, estimator)
    within = np.zeros(scores.size, dtype=np.int64) if estimator == "macro" else stratum
    apart = {} if strata is None else {name: statistic.within(place) for place, name in enumerate(names)}
    value, low, high = bootstrap_interval(statistic, clusters, within, resamples, level, seed)
    return Estimate(value, low, high, scores.size, estimator, apart, level, resamples, seed)


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
        raise DataError(
            f"{len(values)} scores against {len(reference)} of the reference: expected scores of the same samples"
        )
    difference = np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    return estimate(difference.tolist(), **options)
