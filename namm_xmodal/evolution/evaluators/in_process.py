"""Evaluation in this process: the default, and the reference for all others."""

from collections.abc import Iterator, Sequence

from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.evaluators.evaluator import Evaluated
from namm_xmodal.evolution.objective import Objective, ObjectiveFactory, Shard


class InProcess:
    """One shard after another, in order."""

    def __init__(self, factory: ObjectiveFactory) -> None:
        """Remembers how to build the objective; it is built at first use."""
        self._factory = factory
        self._objective: Objective | None = None

    def shards(self, generation: int) -> list[Shard]:
        """See `Evaluator`."""
        return self._built().shards(generation)

    def evaluate(self, members: Array, shards: Sequence[Shard]) -> Iterator[Evaluated]:
        """See `Evaluator`."""
        objective = self._built()
        for index, shard in enumerate(shards):
            yield Evaluated(index, objective.evaluate(members, shard), "in process")

    def close(self) -> None:
        """Releases the objective."""
        self._objective = None

    def _built(self) -> Objective:
        if self._objective is None:
            self._objective = self._factory.build()
        return self._objective
