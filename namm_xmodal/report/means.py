"""Means over the tasks of a benchmark that consists of several: of raw scores, and of scores relative to the full cache."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from namm_xmodal.config.evaluation import BootstrapConfig
from namm_xmodal.evaluation.arm import ArmKey
from namm_xmodal.evaluation.estimate import Estimate, estimate, paired
from namm_xmodal.evaluation.relative import mean_ratio
from namm_xmodal.report.summary import Row, Summary


@dataclass(frozen=True)
class TaskMean:
    """One arm on all tasks of a benchmark, each of which counts alike.

    Attributes:
        benchmark: Its name.
        row: The arm's row of the first task; for label, size and schedule.
        tasks: Number of tasks.
        score: Mean of the tasks' first headline metrics.
        difference: To the full cache, on the same items; None without one, and for itself.
        relative: Mean of the tasks' scores over those of the full cache; of those tasks where that is above 0.
        kept: Mean share of the cache that was kept.
    """

    benchmark: str
    row: Row
    tasks: int
    score: Estimate
    difference: Estimate | None
    relative: Estimate | None
    kept: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "section": self.row.section,
            "benchmark": self.benchmark,
            "policy": self.row.policy,
            "budget": self.row.budget,
            "schedule": self.row.schedule,
            "size": self.row.size,
            "tasks": self.tasks,
            "kept": self.kept,
            "score": self.score.to_json(),
            "difference_to_full": self.difference.to_json() if self.difference else None,
            "relative_to_full": self.relative.to_json() if self.relative else None,
        }


def means_of(summary: Summary) -> list[TaskMean]:
    """The means of every section that averages over tasks, and has results of two or more of them."""
    found: list[TaskMean] = []
    for section, (benchmark, tasks) in summary.benchmarks.items():
        rows = [row for row in summary.of(section) if row.task in tasks]
        if len({row.task for row in rows}) > 1:
            found += task_means(benchmark, rows, summary.bootstrap)
    return found


def task_means(benchmark: str, rows: Sequence[Row], bootstrap: BootstrapConfig) -> list[TaskMean]:
    """The means of every arm, in the order of the rows.

    Items are redrawn with the full cache's on the same items. Tasks that an arm has no score of are left out of its mean.

    Args:
        benchmark: Its name.
        rows: Of its tasks, in one section.
        bootstrap: How intervals are drawn.
    """
    by_arm: dict[ArmKey, list[Row]] = {}
    for row in rows:
        if _metric(row) is not None:
            by_arm.setdefault(row.arm, []).append(row)
    full = next((own for own in by_arm.values() if own[0].full), [])
    reference = {key: value for row in full for key, value in _scores(row).items()}
    how: dict[str, Any] = {"resamples": bootstrap.resamples, "level": bootstrap.level, "seed": bootstrap.seed}
    found = []
    for own in by_arm.values():
        scores = {key: value for row in own for key, value in _scores(row).items()}
        if not scores:
            continue
        both = [key for key in scores if key in reference]
        difference = relative = None
        if both and not own[0].full:
            pair, tasks = ([scores[key] for key in both], [reference[key] for key in both]), [task for task, _ in both]
            difference = paired(*pair, estimator="macro", strata=tasks, **how)
            relative = mean_ratio(*pair, tasks, **how)
        score = estimate(list(scores.values()), estimator="macro", strata=[task for task, _ in scores], **how)
        kept = sum(row.kept.fraction for row in own) / len(own)
        found.append(TaskMean(benchmark, own[0], len({task for task, _ in scores}), score, difference, relative, kept))
    return found


def _metric(row: Row) -> str | None:
    return next((name for name, cell in row.cells.items() if cell.metric.headline), None)


def _scores(row: Row) -> Mapping[tuple[str, str], float]:
    """By task and item."""
    name = _metric(row)
    return {(row.task, item): each[name] for item, each in row.scores.items() if name is not None and name in each}
