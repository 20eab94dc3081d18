"""Scores relative to a reference's, such as the full cache's, with their intervals."""

from collections.abc import Hashable, Sequence

import numpy as np

from namm_xmodal.evaluation.bootstrap import Estimator, Floats, Statistic, bootstrap_interval, finite_scores, numbered
from namm_xmodal.evaluation.estimate import Estimate


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
        None where the reference is not positive in the data or in any resample, so that a ratio is meaningless.

    Raises:
        DataError: As in `estimate`.
    """
    scores, others = finite_scores(values), finite_scores(reference)
    _, stratum = numbered([""] * scores.size if strata is None else strata)
    above, below = Statistic(scores, stratum, estimator), Statistic(others, stratum, estimator)
    within = np.zeros(scores.size, dtype=np.int64) if estimator == "macro" else stratum

    def quotient(weights: Floats) -> Floats:
        divisor = below(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.where(divisor > 0, above(weights) / divisor, np.nan)
        return found

    value, low, high = bootstrap_interval(quotient, clusters, within, resamples, level, seed)
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

    Strata whose mean of `reference` is not positive are left out, as a ratio to it would say nothing; `by_stratum` has
    the others. Items are redrawn within each stratum, values with their reference; draws leave out what is not
    positive.

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
    scores, others = finite_scores(values), finite_scores(reference)
    names, stratum = numbered(strata)
    positive = [place for place in range(len(names)) if others[stratum == place].mean() > 0]
    kept = np.isin(stratum, positive)
    if not positive:
        return None
    scores, others = scores[kept], others[kept]
    left, place = numbered([name for name, used in zip(strata, kept, strict=True) if used])
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
    value, low, high = bootstrap_interval(mean, chosen, place, resamples, level, seed)
    return Estimate(value, low, high, scores.size, "macro", apart, level, resamples, seed)
