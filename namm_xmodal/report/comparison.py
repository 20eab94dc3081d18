"""Compares two arms on the same items by the interval of their paired difference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from namm_xmodal.evaluation.estimate import FEWEST, Estimate, paired
from namm_xmodal.evaluation.record import Record
from namm_xmodal.report.by_tag import options
from namm_xmodal.report.summary import Row, Summary

Verdict = Literal["win", "tie", "loss", "too few"]

SLACK = 0.01
"""Of the full cache: an arm that keeps this much less than another still counts as of equal size."""


@dataclass(frozen=True)
class Comparison:
    """One arm against another on a task.

    Attributes:
        ours: The arm that is judged.
        theirs: The arm it is judged against.
        metric: By which.
        difference: Ours minus theirs on the items that both have.
        higher_is_better: Of the metric.
        kept: Shares of the cache that ours and theirs kept on these items.
    """

    ours: Row
    theirs: Row
    metric: str
    difference: Estimate
    higher_is_better: bool
    kept: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "section": self.ours.section,
            "task": self.ours.task,
            "schedule": self.ours.schedule,
            "ours": {"policy": self.ours.policy, "size": self.ours.size, "kept": self.kept[0]},
            "theirs": {"policy": self.theirs.policy, "size": self.theirs.size, "kept": self.kept[1]},
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "difference": self.difference.to_json(),
            "verdict": self.verdict,
        }

    @property
    def verdict(self) -> Verdict:
        """`win` or `loss` if the interval lies on one side of zero, `tie` if not; with few items neither."""
        if self.difference.n < FEWEST:
            return "too few"
        if not self.difference.excludes_zero:
            return "tie"
        return "win" if (self.difference.value > 0) == self.higher_is_better else "loss"


def compare(ours: Row, theirs: Row, metric: str, summary: Summary) -> Comparison | None:
    """Two rows of a task by one metric; None if they have no item in common.

    Args:
        ours: The arm that is judged.
        theirs: The arm it is judged against.
        metric: One that both have.
        summary: How intervals are drawn.
    """
    how = ours.cells[metric].metric
    common = [
        record
        for record in ours.records
        if metric in ours.scores.get(record.item, {}) and metric in theirs.scores.get(record.item, {})
    ]
    if not common:
        return None
    difference = paired(
        [ours.scores[record.item][metric] for record in common],
        [theirs.scores[record.item][metric] for record in common],
        **options(common, how, summary.bootstrap),
    )
    kept = _kept_on(ours, common), _kept_on(theirs, common)
    return Comparison(ours, theirs, metric, difference, how.higher_is_better, kept)


def _kept_on(row: Row, common: Sequence[Record]) -> float:
    items = {record.item for record in common}
    return replace(row, records=tuple(record for record in row.records if record.item in items)).kept.fraction


def equal_size(ours: Row, candidates: Sequence[Row]) -> Row | None:
    """Of one baseline's rows, the smallest that keeps no less than ours does or was asked for the same size; else None.

    Two policies with the same budget hold slightly different numbers of tokens, since protected tokens and those after
    the last update come on top.
    """
    kept = ours.kept.fraction - SLACK
    enough = [
        row
        for row in candidates
        if row.kept.fraction >= kept or (ours.budget is not None and row.budget == ours.budget)
    ]
    return min(enough, key=lambda row: row.kept.fraction, default=None)


def against_baselines(summary: Summary, ours: Row) -> list[Comparison]:
    """A NAMM's row against every baseline at an equal or larger cache, by the first headline metric of the task.

    Args:
        summary: All rows.
        ours: The NAMM's.
    """
    metric = next((name for name, cell in ours.cells.items() if cell.metric.headline), None)
    if metric is None:
        return []
    others: dict[str, list[Row]] = {}
    for row in summary.of(ours.section, ours.task):
        if (
            not row.learned
            and not row.full
            and metric in row.cells
            and row.schedule in (ours.schedule, "before", "none")
        ):
            others.setdefault(row.policy, []).append(row)
    chosen = [equal_size(ours, group) for group in others.values()]
    found = [compare(ours, row, metric, summary) for row in chosen if row is not None]
    return [each for each in found if each is not None]
