"""The protocol of evaluators: plan a generation's work and score a population on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.objective import Shard, ShardResult


@dataclass(frozen=True)
class Evaluated:
    """A finished shard: its place among those given, its result, and who did it."""

    index: int
    result: ShardResult
    worker: str


class Evaluator(Protocol):
    """Runs an objective somewhere. Nothing is started before it is first used."""

    def shards(self, generation: int) -> list[Shard]:
        """The objective's shards of a generation; asked where the objective lives, so that a head node needs no model."""

    def evaluate(self, members: Array, shards: Sequence[Shard]) -> Iterator[Evaluated]:
        """Scores a population on shards, in any order.

        Args:
            members: Shape (P, N).
            shards: Work to do; none is lost if a worker dies.

        Raises:
            WorkerError: If workers keep dying.
        """

    def close(self) -> None:
        """Ends all workers; may be called twice."""
