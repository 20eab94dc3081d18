"""After a run: is its answer better than its start, on samples that no generation used?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from namm_xmodal.errors import DataError
from namm_xmodal.evaluation.estimate import FEWEST, Estimate, estimate
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.evaluators.evaluator import Evaluator
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.types import OnProgress


@dataclass(frozen=True)
class TaskVerdict:
    """One task on one model.

    Attributes:
        label: Task, with the model where there are several.
        base: Mean score of the full cache.
        start: Score of the start over it.
        answer: Score of the answer over it.
        start_kept: Fraction of the cache that the start keeps.
        answer_kept: Fraction that the answer keeps.
    """

    label: str
    base: float
    start: float
    answer: float
    start_kept: float
    answer_kept: float


@dataclass(frozen=True)
class Verdict:
    """The answer minus the start on the same fresh samples of the training tasks.

    Attributes:
        weight: Size weight of the run's last generation, which the fitness is computed with.
        seed: Seed of the samples.
        fitness: Difference of `score over the full cache's - weight x kept`, with its interval.
        score: Difference of the score over the full cache's.
        kept: Difference of the kept fraction.
        tasks: Each task by itself.
    """

    weight: float
    seed: int
    fitness: Estimate
    score: Estimate
    kept: Estimate
    tasks: tuple[TaskVerdict, ...]

    @property
    def words(self) -> str:
        """The verdict, phrased no more strongly than the fitness interval allows."""
        if self.fitness.n < FEWEST:
            return f"{self.fitness.n} samples are too few to compare the answer with its start"
        if not self.fitness.excludes_zero:
            return "no difference shown: the interval includes 0"
        return "better than its start" if self.fitness.value > 0 else "worse than its start"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "words": self.words}


def validate(
    evaluator: Evaluator,
    shards: Sequence[Shard],
    seed: int,
    start: Array,
    answer: Array,
    weight: float,
    on_progress: OnProgress,
) -> Verdict:
    """Scores start and answer on fresh samples.

    Args:
        evaluator: Where, over an objective of fresh samples; closed at the end.
        shards: One sample each, the samples of each task and model together, equally many of each.
        seed: Of the samples; not that of the run.
        start: Mean before the first generation, shape (N,).
        answer: Mean after the last, shape (N,).
        weight: Size weight to compute the fitness with.
        on_progress: Called as `on_progress(done, total, what)`.

    Raises:
        DataError: If the full cache scores 0 on every task, or a score is not finite.
    """
    scores = np.empty((len(shards), 2))
    kept, base = np.empty_like(scores), np.empty(len(shards))
    try:
        on_progress(0, len(shards), "loading the model")
        for count, done in enumerate(evaluator.evaluate(np.stack([start, answer]), shards), start=1):
            result = done.result.check(2, shards[done.index])
            scores[done.index], kept[done.index] = result.scores[:, 0], result.kept[:, 0]
            base[done.index] = result.base[0]
            on_progress(count, len(shards), shards[done.index].task)
    finally:
        evaluator.close()
    labels = list(dict.fromkeys(shard.label for shard in shards))
    # Every (task, model) has the same number of samples, in order.
    tables = zip(
        labels,
        scores.reshape(len(labels), -1, 2),
        kept.reshape(len(labels), -1, 2),
        base.reshape(len(labels), -1),
        strict=True,
    )
    return _verdict([table for table in tables if table[3].mean() > 0], weight, seed)


def _verdict(tables: list[tuple[str, Array, Array, Array]], weight: float, seed: int) -> Verdict:
    """From (n, 2) scores and sizes and (n,) base scores of each task."""
    if not tables:
        raise DataError(
            "validation: the full cache scores 0 on every sample, so there is no base to compare with; use tasks that "
            "the model can solve"
        )
    relative = [scores / base.mean() for _, scores, _, base in tables]
    # One value per sample: the mean over tasks of the difference on their i-th samples, which are independent draws.
    score = np.mean([part[:, 1] - part[:, 0] for part in relative], axis=0)
    size = np.mean([kept[:, 1] - kept[:, 0] for _, _, kept, _ in tables], axis=0)
    tasks = tuple(
        TaskVerdict(label, float(base.mean()), *(float(x) for x in (*part.mean(0), *kept.mean(0))))
        for (label, _, kept, base), part in zip(tables, relative, strict=True)
    )
    fitness, scores, sizes = (estimate(values.tolist()) for values in (score - weight * size, score, size))
    return Verdict(weight, seed, fitness, scores, sizes, tasks)
