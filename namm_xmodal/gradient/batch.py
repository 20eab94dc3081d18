"""Gradients of one batch, in this process or in several; the result does not depend on how many."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from zlib import crc32

import numpy as np

from namm_xmodal.errors import UnsupportedModelError
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.fitness.mixture import Mixture, MixtureFactory
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.policy_gradient import policy_gradient
from namm_xmodal.gradient.rollouts import RolloutSettings
from namm_xmodal.gradient.sample import SampleGradient, Vector, sample_gradient
from namm_xmodal.workers.messages import Task
from namm_xmodal.workers.pool import SILENCE
from namm_xmodal.workers.processes import process_pool


@dataclass(frozen=True)
class Point:
    """Where gradients are taken.

    Attributes:
        parameters: (N,) vector.
        aims: Label of a source, "" for the tasks, to what is kept there and what should be.
        seed: Of what is drawn at random.
        step: Number of the step; everything is drawn anew in each.
        rollouts: How evictions are drawn for a policy gradient; None for straight-through gradients.
    """

    parameters: Vector
    aims: Mapping[str, Aim]
    seed: int = 0
    step: int = 0
    rollouts: RolloutSettings | None = None


class Gradients(Protocol):
    """Takes gradients of shards of one sample each, in their order."""

    def __call__(self, point: Point, shards: Sequence[Shard]) -> list[SampleGradient]:
        """One result per shard."""


@contextmanager
def gradients(factory: MixtureFactory, workers: int, silence: float = SILENCE) -> Iterator[Gradients]:
    """Workers that load the models once.

    Args:
        factory: Tasks, sources, models, pruning, and the parts of the NAMM.
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


def _gradient(point: Point, shard: Shard, objective: Mixture) -> SampleGradient:
    lesson, seed = objective.lesson(shard), _seed(point, shard)
    aim, template = point.aims[lesson.source].of_sample(seed, lesson.length), objective.template
    try:
        if point.rollouts is None:
            return sample_gradient(lesson, point.parameters, template, aim)
        run = partial(objective.run_rows, shard=shard)
        return policy_gradient(lesson, run, point.parameters, template, aim, point.rollouts, seed)
    except UnsupportedModelError as error:
        raise error.at(shard.label) from None


def _seed(point: Point, shard: Shard) -> int:
    """Of one shard in one step, whichever process takes it."""
    words = [point.seed, point.step, crc32(f"{shard.model}/{shard.task}".encode()), shard.samples[0]]
    return int(np.random.SeedSequence(words).generate_state(1)[0])
