"""Gradients of one batch, in this process or in several; the result does not depend on how many."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.fitness.language import LanguageObjective, LanguageObjectiveFactory
from namm_xmodal.gradient.sample import SampleGradient, Vector, differentiable, sample_gradient
from namm_xmodal.policies.namm import ThresholdSchedule


@dataclass(frozen=True)
class Point:
    """Where gradients are taken.

    Attributes:
        parameters: (N,) vector.
        schedule: Tokens that score at least `schedule.at(tokens seen)` are kept.
        budget: Fraction of tokens that should be.
        floor: Tokens that should be, at least.
    """

    parameters: Vector
    schedule: ThresholdSchedule
    budget: float
    floor: int


class Gradients(Protocol):
    """Takes gradients of shards of one sample each, in their order."""

    def __call__(self, point: Point, shards: Sequence[Shard]) -> list[SampleGradient]:
        """One result per shard."""


@contextmanager
def gradients(factory: LanguageObjectiveFactory, workers: int) -> Iterator[Gradients]:
    """Workers that load the models once.

    Args:
        factory: Tasks, models, pruning, and the parts of the NAMM.
        workers: Processes; 1 is this process.
    """
    if workers == 1:
        objective = factory.build()
        yield lambda point, shards: [_gradient(objective, point, shard) for shard in shards]
        return
    context = multiprocessing.get_context("spawn")  # fork would copy threads and locks in any state
    with ProcessPoolExecutor(workers, context, _prepare, (factory,)) as pool:

        def spread(point: Point, shards: Sequence[Shard]) -> list[SampleGradient]:
            try:
                return list(pool.map(_in_worker, [point] * len(shards), shards))
            except BrokenProcessPool:
                raise EvolutionError(
                    "a worker died (out of memory?); the run is saved up to the last step: use fewer workers, and "
                    "start the same command again"
                ) from None

        yield spread


def _gradient(objective: LanguageObjective, point: Point, shard: Shard) -> SampleGradient:
    model = objective.model_named(shard.model).model
    sample = objective.pool_of(shard.model, shard.task)[shard.samples[0]]
    with differentiable(model):
        return sample_gradient(
            model,
            sample,
            point.parameters,
            objective.template,
            objective.settings.pruning,
            schedule=point.schedule,
            budget=point.budget,
            floor=point.floor,
        )


_OBJECTIVE: list[LanguageObjective] = []


def _prepare(factory: LanguageObjectiveFactory) -> None:
    """Runs once in a new worker."""
    _OBJECTIVE[:] = [factory.build()]


def _in_worker(point: Point, shard: Shard) -> SampleGradient:
    return _gradient(_OBJECTIVE[0], point, shard)
