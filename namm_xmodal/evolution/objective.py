"""The objective of evolution: splits a generation's work into shards and scores a population on each."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from namm_xmodal.errors import ContractError
from namm_xmodal.evolution.arrays import Array


@dataclass(frozen=True)
class Shard:
    """The unit of work: all members on some samples of one task. Small, and made of JSON values only.

    Attributes:
        task: Name of the task.
        samples: Indices or seeds of its samples, `n` of them; the same for all members, so that they can be compared.
        model: Name of the model they run on, for objectives with several.
    """

    task: str
    samples: tuple[int, ...]
    model: str = ""

    @property
    def label(self) -> str:
        """`task`, or `model/task` where models are named."""
        return f"{self.model}/{self.task}" if self.model else self.task


@dataclass(frozen=True)
class ShardResult:
    """Scores of `P` members on the `n` samples of a shard.

    Attributes:
        scores: Larger is better, 0 the worst; NaN where a member failed. Shape (P, n).
        base: Scores of the unpruned base model on the same samples, finite, shape (n,).
        kept: Fraction of the cache that was kept, between 0 and 1, shape (P, n).
        seconds: Time by part of the work, for the log.
    """

    scores: Array
    base: Array
    kept: Array
    seconds: dict[str, float] = field(default_factory=dict)

    def check(self, members: int, shard: Shard) -> "ShardResult":
        """This result as float64.

        Raises:
            ContractError: If a shape does not fit, or a base score or kept fraction is impossible.
        """
        n = len(shard.samples)
        expected = {"scores": (members, n), "base": (n,), "kept": (members, n)}
        # Contiguous, because a sum over another memory order has other last bits.
        arrays = {name: np.ascontiguousarray(getattr(self, name), dtype=np.float64) for name in expected}
        for name, shape in expected.items():
            if arrays[name].shape != shape:
                raise ContractError(
                    f"{shard.label}: {name} has shape {arrays[name].shape}, expected {shape} "
                    f"({members} members, {n} samples)"
                )
        if not np.isfinite(arrays["base"]).all():
            raise ContractError(f"{shard.label}: a base score is not finite; expected the score of the unpruned model")
        kept = arrays["kept"][np.isfinite(arrays["scores"])]  # a failed member kept whatever it kept
        if not ((kept >= 0) & (kept <= 1 + 1e-9)).all():
            raise ContractError(f"{shard.label}: a kept fraction is outside 0 to 1")
        return ShardResult(**arrays, seconds={part: float(value) for part, value in self.seconds.items()})


class Objective(Protocol):
    """Scores populations. Lives in each worker; may hold models and caches."""

    def shards(self, generation: int) -> list[Shard]:
        """The work of a generation, a function of (its seed, `generation`) alone; generation 0 is the first."""

    def evaluate(self, members: Array, shard: Shard) -> ShardResult:
        """Scores all members on one shard; a function of its arguments alone, whatever ran before.

        Args:
            members: Shape (P, N).
            shard: One of `shards(...)`.
        """


class ObjectiveFactory(Protocol):
    """A small picklable object that workers receive and call once."""

    def build(self) -> Objective:
        """Makes the objective, models included."""
