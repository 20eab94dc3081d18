"""Gradients of one batch, in this process or in several; the result does not depend on how many."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol
from zlib import crc32

import numpy as np

from namm_xmodal.evolution.objective import Shard
from namm_xmodal.fitness.language import LanguageObjective, LanguageObjectiveFactory
from namm_xmodal.gradient.policy_gradient import policy_gradient
from namm_xmodal.gradient.rollouts import RolloutSettings
from namm_xmodal.gradient.sample import SampleGradient, Vector, differentiable, sample_gradient
from namm_xmodal.policies.namm import ThresholdSchedule
from namm_xmodal.workers.messages import Task
from namm_xmodal.workers.pool import SILENCE
from namm_xmodal.workers.processes import process_pool


@dataclass(frozen=True)
class Point:
    """Where gradients are taken.

    Attributes:
        parameters: (N,) vector.
        schedule: Tokens that score at least `schedule.at(tokens seen)` are kept.
        budget: Fraction of tokens that should be.
        floor: Tokens that should be, at least.
        step: Number of the step; draws of a sample are new in each.
        rollouts: How evictions are drawn for a policy gradient; None for straight-through gradients.
    """

    parameters: Vector
    schedule: ThresholdSchedule
    budget: float
    floor: int
    step: int = 0
    rollouts: RolloutSettings | None = None


class Gradients(Protocol):
    """Takes gradients of shards of one sample each, in their order."""

    def __call__(self, point: Point, shards: Sequence[Shard]) -> list[SampleGradient]:
        """One result per shard."""


@contextmanager
def gradients(factory: LanguageObjectiveFactory, workers: int, silence: float = SILENCE) -> Iterator[Gradients]:
    """Workers that load the models once.

    Args:
        factory: Tasks, models, pruning, and the parts of the NAMM.
        workers: Processes; 1 is this process.
        silence: Seconds without an answer after which one is replaced.
    """
    if workers == 1:
        objective = factory.build()
        yield lambda point, shards: [_gradient(point, shard, objective) for shard in shards]
        return
    with closing(process_pool(factory.build, workers, silence=silence)) as pool:

        def spread(point: Point, shards: Sequence[Shard]) -> list[SampleGradient]:
            tasks = [Task(f"the gradient of {shard.label}", partial(_gradient, point, shard)) for shard in shards]
            return [done.content for done in pool.run(tasks, ahead=len(tasks))]

        yield spread


def _gradient(point: Point, shard: Shard, objective: LanguageObjective) -> SampleGradient:
    model = objective.model_named(shard.model).model
    sample = objective.pool_of(shard.model, shard.task)[shard.samples[0]]
    if point.rollouts is not None:
        return policy_gradient(
            model,
            sample,
            objective.base_of(shard.model, shard.task, shard.samples[0]),
            point.parameters,
            objective.template,
            objective.settings.pruning,
            schedule=point.schedule,
            budget=point.budget,
            floor=point.floor,
            settings=replace(point.rollouts, seed=_seed(point.rollouts.seed, point.step, shard)),
        )
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


def _seed(seed: int, step: int, shard: Shard) -> int:
    """Of the draws of one shard in one step, whichever process takes it."""
    words = [seed, step, crc32(f"{shard.model}/{shard.task}".encode()), shard.samples[0]]
    return int(np.random.SeedSequence(words).generate_state(1)[0])
