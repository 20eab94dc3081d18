"""From shard results to one number per member (the paper, section 3: score over the base model's, mean over tasks)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from namm_xmodal.errors import DataError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.objective import Shard, ShardResult
from namm_xmodal.evolution.ranking import rank_agreement


@dataclass(frozen=True)
class Fitness:
    """A population's fitness and its components.

    Attributes:
        values: Fitness, larger is better, NaN for members that failed on any sample. Shape (P,).
        tasks: Score over the base model's on the same samples, by task: 1 is as good as the base model. Shape (P,) each.
        kept: Kept fraction, mean over tasks, shape (P,).
        agreement: Rank agreement (Spearman, -1 to 1) of the fitness on two halves of the samples; None where there is
            nothing to halve.
        skipped: Tasks left out because the base model scores 0 on all samples of this generation.
    """

    values: Array
    tasks: dict[str, Array]
    kept: Array
    agreement: float | None
    skipped: tuple[str, ...] = ()

    @property
    def failed(self) -> list[int]:
        """Members without a finite fitness."""
        return [int(member) for member in np.flatnonzero(~np.isfinite(self.values))]

    @property
    def score(self) -> float:
        """Mean over tasks and members that did not fail; NaN if all failed."""
        good = np.isfinite(self.values)
        return float(np.mean([scores[good] for scores in self.tasks.values()])) if good.any() else float("nan")


def aggregate(shards: Sequence[Shard], results: Sequence[ShardResult], weight: float, generation: int = 0) -> Fitness:
    """Fitness of a generation: mean over tasks of `score / base score`, minus `weight * kept fraction`.

    Shards of one task and model are put together first; every (model, task) counts the same. Sums run in the order of
    the shards, never in that of arrival, so that the same results give the same bits wherever they were computed.

    Args:
        shards: All shards of the generation.
        results: Their results, in the same order.
        weight: Size weight, see `SizePressure`.
        generation: In the first one a task that the base model cannot do at all is an error; later it is an unlucky
            draw of samples, and the task is left out for all members of that generation.

    Raises:
        DataError: If a task's base score is 0 on all samples (see `generation`), or negative.
    """
    tasks: dict[str, Array] = {}
    kept: list[Array] = []
    halves: tuple[list[Array], list[Array]] = ([], [])
    skipped = []
    for label in dict.fromkeys(shard.label for shard in shards):
        mine = [result for shard, result in zip(shards, results, strict=True) if shard.label == label]
        scores = np.concatenate([result.scores for result in mine], axis=1)  # (P, n)
        sizes = np.concatenate([result.kept for result in mine], axis=1)
        base = float(np.concatenate([result.base for result in mine]).mean())
        if not base > 0:
            if base < 0 or generation == 0:
                raise DataError(_no_base(label, base, scores.shape[1]))
            skipped.append(label)
            continue
        tasks[label] = scores.mean(axis=1) / base
        kept.append(sizes.mean(axis=1))
        if scores.shape[1] > 1:
            for half, part in zip(halves, (slice(0, None, 2), slice(1, None, 2)), strict=True):
                half.append(scores[:, part].mean(axis=1) / base - weight * sizes[:, part].mean(axis=1))
    if not tasks:
        raise DataError(f"the base model scores 0 on every task of generation {generation}; use more samples per task")
    size = np.mean(kept, axis=0)
    values = np.mean(list(tasks.values()), axis=0) - weight * size
    values[~np.isfinite(values)] = np.nan
    agreement = None
    if halves[0]:
        agreement = rank_agreement(np.mean(halves[0], axis=0), np.mean(halves[1], axis=0))
    return Fitness(values, tasks, size, agreement, tuple(skipped))


def _no_base(label: str, base: float, samples: int) -> str:
    if base < 0:
        return (
            f"task {label}: the base model's mean score is {base:.4g}, expected a positive one; use a score that "
            "starts at 0"
        )
    return (
        f"task {label}: the base model scores 0 on all {samples} samples of the first generation, so relative scores "
        "are undefined; use more samples, or a task that the model can solve"
    )
