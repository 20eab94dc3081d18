"""Means and standard deviations that standardise a NAMM's features; part of the policy, saved with its weights."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.errors import CheckpointError

_SMALLEST_DEVIATION = 1e-7  # as published (docs/algorithm.md)


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Mean and standard deviation of every number that is standardised by them.

    Attributes:
        mean: (numbers,) float32; of no numbers if every channel is standardised in context.
        std: (numbers,) float32, positive.
        source: Where they come from, in words: which model, text and cache; `frozen` statistics of the model that the
            policy was evolved on and `estimated` ones of the target model give different results, so reports name it.
        count: Tokens they were estimated from, 0 if unknown.
    """

    mean: Tensor
    std: Tensor
    source: str = "unspecified"
    count: int = 0

    def __post_init__(self) -> None:
        """Refuses shapes that do not match and values that are not finite.

        Raises:
            CheckpointError: With what is wrong.
        """
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise CheckpointError(
                f"feature statistics of shapes {tuple(self.mean.shape)} and {tuple(self.std.shape)}: expected two equal "
                "vectors, one entry per number"
            )
        if not bool(torch.isfinite(self.mean).all() & torch.isfinite(self.std).all()) or bool((self.std < 0).any()):
            raise CheckpointError("feature statistics are not finite: estimate them again")

    @classmethod
    def identity(cls, numbers: int) -> "FeatureStatistics":
        """Leaves raw features as they are; the only statistics there are of no numbers."""
        source = "none (raw features)" if numbers else "none (every channel is standardised in context)"
        return cls(torch.zeros(numbers), torch.ones(numbers), source=source)

    def standardise(self, features: Tensor) -> Tensor:
        """(B, H, numbers, S) -> the same, with mean 0 and deviation 1 over what they were estimated from."""
        mean, std = (t.to(features.device)[:, None] for t in (self.mean, self.std))
        return (features - mean) / std.clamp(min=_SMALLEST_DEVIATION)


class StatisticsEstimator:
    """Pools mean and variance over any number of batches (Chan, Golub and LeVeque, 1983), in float64."""

    def __init__(self, numbers: int) -> None:
        """Starts empty.

        Args:
            numbers: Per token.
        """
        self.count = 0
        self.mean = torch.zeros(numbers, dtype=torch.float64)
        self.squares = torch.zeros(numbers, dtype=torch.float64)  # sum of squared deviations from the mean

    def add(self, features: Tensor, live: Tensor) -> None:
        """Takes in (B, H, numbers, S) features of the live (B, H, S) slots."""
        values = features.movedim(2, -1)[live].double().cpu()  # (tokens, numbers)
        if not len(values):
            return
        mean = values.mean(0)
        self._pool(mean, (values - mean).square().sum(0), len(values))

    def merge(self, other: "StatisticsEstimator") -> None:
        """Takes in what another estimator has seen."""
        if other.count:
            self._pool(other.mean, other.squares, other.count)

    def _pool(self, mean: Tensor, squares: Tensor, count: int) -> None:
        total = self.count + count
        shift = mean - self.mean
        self.mean = self.mean + shift * count / total
        self.squares = self.squares + squares + shift.square() * self.count * count / total
        self.count = total

    def result(self, source: str) -> FeatureStatistics:
        """The statistics so far.

        Raises:
            CheckpointError: If nothing was taken in.
        """
        if self.count == 0:
            raise CheckpointError(
                "no features to estimate statistics from, since no input was long enough for an update; use a smaller "
                "update_every or longer inputs"
            )
        return FeatureStatistics(
            self.mean.float(), (self.squares / self.count).sqrt().float(), source=source, count=self.count
        )
