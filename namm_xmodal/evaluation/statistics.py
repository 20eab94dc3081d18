"""Percentile bootstrap over samples: intervals of a mean, and of a difference on the same samples."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from namm_xmodal.errors import DataError

FEWEST = 10
"""Samples below which a bootstrap interval is too narrow to be believed, so that nothing is concluded from it."""


@dataclass(frozen=True)
class Interval:
    """A mean and where it may lie.

    Attributes:
        mean: The mean over samples.
        low: Lower end, None with fewer than two samples.
        high: Upper end, None with fewer than two samples.
        n: Samples.
        level: Coverage, 0.95 for 95%.
        resamples: Bootstrap resamples.
        seed: Seed of the resampling.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
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

    def to_json(self) -> dict[str, float | int | None]:
        """Plain JSON types."""
        return asdict(self)


def bootstrap_mean(values: Sequence[float], resamples: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """The mean of `values` with its percentile bootstrap interval.

    Samples are drawn with replacement, as many as there are, `resamples` times; the interval holds the middle `level`
    of the means. Equal values give an interval of width zero: with few samples that says little about the tail.

    Args:
        values: One score per sample.
        resamples: How often to resample.
        level: Coverage between 0 and 1.
        seed: Seed of an own generator; no global state is read or changed.

    Raises:
        DataError: If there are no values, or one is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise DataError(f"bootstrap over {array.size} values: expected at least one score per sample")
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array))[0])
        raise DataError(f"score of sample {bad} is {array[bad]}: expected a finite number")
    mean = float(array.mean())
    if array.size == 1:
        return Interval(mean, None, None, 1, level, resamples, seed)
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    block = max(1, 1_000_000 // array.size)  # bounds the memory of the index table to a few megabytes
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        means[start : start + count] = array[generator.integers(0, array.size, (count, array.size))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), int(array.size), level, resamples, seed)


def paired_difference(
    values: Sequence[float], reference: Sequence[float], resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of `values - reference` on the same samples, with its interval.

    Pairing removes what is common to both (a hard sample is hard for everyone), so the interval is much narrower than
    the two single ones suggest.

    Args:
        values: One score per sample.
        reference: Scores of the reference on the same samples, in the same order.
        resamples: How often to resample.
        level: Coverage between 0 and 1.
        seed: Seed of an own generator.

    Raises:
        DataError: If the lengths differ, or as in `bootstrap_mean`.
    """
    if len(values) != len(reference):
        raise DataError(f"{len(values)} scores against {len(reference)}: expected the same samples on both sides")
    difference = np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    return bootstrap_mean(difference.tolist(), resamples, level, seed)
