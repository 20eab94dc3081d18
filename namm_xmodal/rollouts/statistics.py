"""Interquartile means and their stratified bootstrap intervals (Agarwal et al., arXiv 2108.13264)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import DataError


@dataclass(frozen=True)
class Aggregate:
    """A mean over models and episodes.

    Attributes:
        value: The mean.
        kind: `iqm`, the mean of the middle half of all values, or `mean`, of all of them (for 0 and 1, whose middle half
            says nothing).
        low: Lower end of the interval, None with fewer than two values.
        high: Upper end.
        n: Values.
        by_model: The same mean of each model: how much trainings differ, which the interval does not hold.
        level: Coverage, 0.95 for 95%.
        resamples: Bootstrap resamples.
        seed: Seed of the resampling.
    """

    value: float
    kind: Literal["iqm", "mean"]
    low: float | None
    high: float | None
    n: int
    by_model: dict[str, float]
    level: float
    resamples: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def interquartile_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., n) -> (...): the mean without the lowest and the highest n // 4 values."""
    cut = values.shape[-1] // 4
    ordered = np.sort(values, axis=-1)
    middle: NDArray[np.float64] = ordered[..., cut : values.shape[-1] - cut].mean(-1)
    return middle


def aggregate(
    values: Mapping[str, Sequence[float]],
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    kind: Literal["iqm", "mean"] = "iqm",
) -> Aggregate:
    """A mean with a stratified bootstrap interval: episodes are redrawn within each model.

    Args:
        values: Scores of each model's episodes.
        resamples: How often to resample.
        level: Coverage between 0 and 1.
        seed: Of an own generator.
        kind: Which mean.

    Raises:
        DataError: If there are no values, or one is not finite.
    """
    strata = {model: np.asarray(list(scores), dtype=np.float64) for model, scores in values.items()}
    if not strata or any(not len(scores) for scores in strata.values()):
        raise DataError("no episodes to average over: expected at least one of each model")
    pooled = np.concatenate(list(strata.values()))
    if not np.isfinite(pooled).all():
        raise DataError("a score is not finite: expected finite returns")
    mean = interquartile_mean if kind == "iqm" else _mean
    by_model = {model: float(mean(scores)) for model, scores in strata.items()}
    low = high = None
    if len(pooled) > 1:
        rng = np.random.default_rng(seed)
        drawn = [scores[rng.integers(0, len(scores), (resamples, len(scores)))] for scores in strata.values()]
        means = mean(np.concatenate(drawn, axis=1))
        low, high = (float(end) for end in np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))
    return Aggregate(float(mean(pooled)), kind, low, high, len(pooled), by_model, level, resamples, seed)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = values.mean(-1)
    return mean
