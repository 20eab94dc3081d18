"""Scores by task, metric, policy, size and protocol, with n, interval and paired difference to the full cache."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from namm_xmodal.config import BootstrapConfig
from namm_xmodal.evaluation.metrics import headline, lower_is_better
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.statistics import Interval, bootstrap_mean, paired_difference

FULL = "none"
"""Protocol of the full cache, which never updates."""

Row = tuple[str, str, str]
"""Policy label, budget as text, protocol."""


@dataclass(frozen=True)
class Cell:
    """One policy at one size under one protocol, on one task by one metric.

    Attributes:
        task: Label of the task.
        metric: Name of the metric.
        policy: Label of the policy.
        budget: Cache size asked for, None where the policy decides or keeps everything.
        protocol: `clock`, `prompt_end`, or `none` for the full cache.
        score: Mean over samples with its interval.
        difference: Score minus the full cache's on the same samples; None without a full cache, and for itself.
        kept: Mean kept fraction when the answer is produced.
        live_bytes: Mean bytes of live tokens then.
        allocated_bytes: Mean bytes really allocated then.
        cpu_seconds: Mean CPU time of a sample.
        headline: Whether the table shows this metric.
    """

    task: str
    metric: str
    policy: str
    budget: int | float | None
    protocol: str
    score: Interval
    difference: Interval | None
    kept: float
    live_bytes: float
    allocated_bytes: float
    cpu_seconds: float
    headline: bool

    @property
    def row(self) -> Row:
        """What is compared with other rows of a table."""
        return (self.policy, repr(self.budget), self.protocol)

    @property
    def column(self) -> tuple[str, str]:
        """Task and metric."""
        return (self.task, self.metric)

    @property
    def size(self) -> str:
        """The cache size asked for, in words."""
        if self.protocol == FULL:
            return "all"
        if self.budget is None:
            return "own"
        return f"{self.budget:.0%}" if isinstance(self.budget, float) else f"{self.budget} tokens"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "task": self.task,
            "metric": self.metric,
            "lower_is_better": lower_is_better(self.metric),
            "headline": self.headline,
            "policy": self.policy,
            "budget": self.budget,
            "protocol": self.protocol,
            "score": self.score.to_json(),
            "difference_to_full": self.difference.to_json() if self.difference else None,
            "kept_fraction": self.kept,
            "live_bytes": self.live_bytes,
            "allocated_bytes": self.allocated_bytes,
            "cpu_seconds": self.cpu_seconds,
        }


@dataclass(frozen=True)
class Summary:
    """All cells, in the order of the configuration."""

    cells: tuple[Cell, ...]

    def shown(self) -> list[Cell]:
        """The cells that table and plot show."""
        return [cell for cell in self.cells if cell.headline]

    def columns(self) -> list[tuple[str, str]]:
        """Tasks and metrics of the table."""
        return list(dict.fromkeys(cell.column for cell in self.shown()))

    def rows(self) -> list[Row]:
        """Policies, sizes and protocols of the table."""
        return list(dict.fromkeys(cell.row for cell in self.shown()))


def summarise(records: Iterable[Record], tasks: Mapping[str, Any], bootstrap: BootstrapConfig | None = None) -> Summary:
    """Aggregates records; their order decides the order of rows and columns.

    Args:
        records: Records of one configuration.
        tasks: The task behind each label.
        bootstrap: How intervals are drawn.
    """
    drawn = bootstrap or BootstrapConfig()
    options = {"resamples": drawn.resamples, "level": drawn.level, "seed": drawn.seed}
    groups: dict[tuple[str, Row], dict[int, Record]] = defaultdict(dict)
    for record in records:
        groups[record.task, (record.policy, repr(record.budget), record.protocol)][record.sample] = record
    reference = {
        task: group for (task, row), group in reversed(groups.items()) if row[2] == FULL
    }  # the first full cache of a task wins
    shown = {label: headline(tasks[label], _metrics(group.values())) for (label, _), group in groups.items()}
    cells = [
        _cell(group, metric, reference.get(task), metric in shown[task], options)
        for (task, _), group in groups.items()
        for metric in _metrics(group.values())
    ]
    return Summary(tuple(cells))


def _metrics(group: Iterable[Record]) -> list[str]:
    """Metrics that every sample has, so that no mean is over a subset that one cannot see."""
    names = [record.scores for record in group]
    return [name for name in names[0] if all(name in scores for scores in names)]


def _cell(
    group: dict[int, Record], metric: str, full: dict[int, Record] | None, shown: bool, options: dict[str, Any]
) -> Cell:
    first = next(iter(group.values()))
    difference = None
    if full is not None and first.protocol != FULL:
        common = sorted(sample for sample in group.keys() & full.keys() if metric in full[sample].scores)
        if common:
            difference = paired_difference(_scores(group, common, metric), _scores(full, common, metric), **options)
    samples = sorted(group)
    return Cell(
        task=first.task,
        metric=metric,
        policy=first.policy,
        budget=first.budget,
        protocol=first.protocol,
        score=bootstrap_mean(_scores(group, samples, metric), **options),
        difference=difference,
        kept=_mean(record.kept_fraction for record in group.values()),
        live_bytes=_mean(record.live_bytes for record in group.values()),
        allocated_bytes=_mean(record.allocated_bytes for record in group.values()),
        cpu_seconds=_mean(record.cpu_seconds for record in group.values()),
        headline=shown,
    )


def _scores(group: dict[int, Record], samples: Sequence[int], metric: str) -> list[float]:
    return [group[sample].scores[metric] for sample in samples]


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
