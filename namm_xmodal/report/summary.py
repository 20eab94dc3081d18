"""Records summed up: a row for every arm on every task, with n, intervals and differences to the full cache."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from namm_xmodal.config.evaluation import BootstrapConfig
from namm_xmodal.evaluation.arm import ArmKey
from namm_xmodal.evaluation.estimate import Estimate, estimate, paired
from namm_xmodal.evaluation.modality import Kept, Metric
from namm_xmodal.evaluation.plan import SectionPlan, total
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.relative import ratio
from namm_xmodal.report.by_tag import Groups, by_tag, options
from namm_xmodal.report.origin import origin_in_words
from namm_xmodal.report.words import counted
from namm_xmodal.types import ONCE


@dataclass(frozen=True)
class Cell:
    """One metric of one arm on one task.

    Attributes:
        metric: How it is read.
        score: Over the items that have it, with interval.
        difference: To the full cache on the same items; None without one, and for itself.
        relative: Divided by the full cache's on the same items; None where that says nothing.
    """

    metric: Metric
    score: Estimate
    difference: Estimate | None
    relative: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "metric": self.metric.name,
            "higher_is_better": self.metric.higher_is_better,
            "headline": self.metric.headline,
            "score": self.score.to_json(),
            "difference_to_full": self.difference.to_json() if self.difference else None,
            "relative_to_full": self.relative.to_json() if self.relative else None,
        }


@dataclass(frozen=True)
class Row:
    """One arm on one task.

    Attributes:
        section: Name of the modality.
        task: Name of the task.
        policy: Label of the arm.
        budget: Size asked for, None where the policy decides or nothing is evicted.
        schedule: When it evicts.
        size: The size in words.
        fit: Of a NAMM: where its feature statistics and thresholds come from.
        cells: By metric; unless it is partial no metric that some scored item lacks, so that no mean is over a subset that
            one cannot see.
        groups: The first headline metric apart by tags of the items, such as length, kind of question or model.
        learned: Whether it is a NAMM, which the others are compared with.
        origin: Of a NAMM: how it was trained, if it was, and how it is fitted. Empty for others.
        scores: By item and metric.
        records: Everything that it is made of.
    """

    section: str
    task: str
    policy: str
    budget: int | float | None
    schedule: str
    size: str
    fit: str
    cells: Mapping[str, Cell]
    groups: Groups
    learned: bool
    origin: str
    scores: Mapping[str, Mapping[str, float]]
    records: tuple[Record, ...]

    @property
    def arm(self) -> ArmKey:
        """Which arm."""
        return (self.policy, repr(self.budget), self.schedule)

    @property
    def label(self) -> str:
        """The policy; with the schedule if it prunes once, since the same sizes may be there twice."""
        return f"{self.policy} · {self.schedule}" if self.schedule in ONCE else self.policy

    @property
    def full(self) -> bool:
        """Whether it is the full cache."""
        return self.size == "full"

    @property
    def scored(self) -> tuple[Record, ...]:
        """The records that were run; of those that failed the ones that came far enough for a score."""
        return tuple(r for r in self.records if r.status == "scored" or (r.status == "failed" and r.scores))

    def count(self, status: str) -> int:
        """Records of a status."""
        return sum(record.status == status for record in self.records)

    @property
    def kept(self) -> Kept:
        """What the cache held, averaged over items."""
        found = [record.kept for record in self.scored] or [Kept()]
        means = {each.name: float(np.mean([getattr(kept, each.name) for kept in found])) for each in fields(Kept)}
        return Kept(
            means["fraction"],
            means["tokens"],
            round(means["live_bytes"]),
            round(means["allocated_bytes"]),
            round(means["full_bytes"]),
        )

    @property
    def seconds(self) -> dict[str, float]:
        """CPU seconds by part, averaged over items."""
        parts = dict.fromkeys(part for record in self.scored for part in record.seconds)
        return {part: float(np.mean([record.seconds.get(part, 0.0) for record in self.scored])) for part in parts}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        kept = self.kept
        return {
            "section": self.section,
            "task": self.task,
            "policy": self.policy,
            "budget": self.budget,
            "schedule": self.schedule,
            "size": self.size,
            "fit": self.fit,
            "n": self.count("scored"),
            "skipped": self.count("skipped"),
            "failed": self.count("failed"),
            "kept": {each.name: getattr(kept, each.name) for each in fields(Kept)},
            "cpu_seconds": self.seconds,
            "cells": [cell.to_json() for cell in self.cells.values()],
            "groups": {
                tag: {value: score.to_json() for value, score in groups.items()} for tag, groups in self.groups.items()
            },
        }


@dataclass(frozen=True)
class Summary:
    """All rows, in the order of the plan.

    Attributes:
        rows: By section, task and arm.
        bootstrap: How intervals are drawn.
        expected: Results of a complete evaluation.
        benchmarks: Section to the name and the tasks of a benchmark whose tasks are averaged too; see `report.means`.
    """

    rows: tuple[Row, ...]
    bootstrap: BootstrapConfig
    expected: int = 0
    benchmarks: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)

    @property
    def incomplete(self) -> str:
        """`3 of 24 results` of an evaluation that is not complete; empty of one that is."""
        count = sum(len(row.records) for row in self.rows)
        return f"{count:,} of {counted(self.expected, 'result')}" if count < self.expected else ""

    def sections(self) -> list[str]:
        """Names of the sections."""
        return list(dict.fromkeys(row.section for row in self.rows))

    def tasks(self, section: str) -> list[str]:
        """Tasks of a section."""
        return list(dict.fromkeys(row.task for row in self.of(section)))

    def fingerprints(self, section: str, task: str | None = None) -> dict[str, list[str]]:
        """Label of each policy to the fingerprints that its records were made with; one of each size."""
        found: dict[str, dict[str, None]] = {}
        for row in self.of(section, task):
            for record in row.records:
                found.setdefault(row.policy, {})[record.fingerprint] = None
        return {label: list(prints) for label, prints in found.items()}

    def of(self, section: str, task: str | None = None) -> list[Row]:
        """Rows of a section, or of one task of it."""
        return [row for row in self.rows if row.section == section and task in (None, row.task)]

    def tags(self, section: str, task: str | None = None) -> dict[str, list[tuple[str, str]]]:
        """By what scores are shown apart: tag to tasks and the values that it has there."""
        found: dict[str, dict[tuple[str, str], None]] = {}
        for row in self.of(section, task):
            for tag, groups in row.groups.items():
                found.setdefault(tag, {}).update(dict.fromkeys((row.task, value) for value in groups))
        return {tag: list(values) for tag, values in found.items()}

    def headline(self, section: str, task: str) -> list[Metric]:
        """The metrics that tables and plots show of a task."""
        found = {cell.metric.name: cell.metric for row in self.of(section, task) for cell in row.cells.values()}
        return [metric for metric in found.values() if metric.headline]


def summarise(records: Iterable[Record], plan: Sequence[SectionPlan], bootstrap: BootstrapConfig) -> Summary:
    """Sums records up.

    Args:
        records: Of the plan; others are left out.
        plan: Decides the order, and how scores are read.
        bootstrap: How intervals are drawn.
    """
    found = list(records)
    rows = []
    for section in plan:
        groups: dict[tuple[str, ArmKey], list[Record]] = {}
        for record in section.in_order(found):
            groups.setdefault((record.task, record.arm), []).append(record)
        reference = {task: group for (task, _), group in reversed(groups.items()) if group[0].size == "full"}
        for (task, _), group in groups.items():
            rows.append(_row(section, group, reference.get(task), bootstrap))
    averaged = {section.name: section.modality.averaged(section.section) for section in plan}
    benchmarks = {name: found for name, found in averaged.items() if found is not None}
    return Summary(tuple(rows), bootstrap, total(plan), benchmarks)


def _row(section: SectionPlan, group: list[Record], full: list[Record] | None, bootstrap: BootstrapConfig) -> Row:
    first = group[0]
    arm = next(arm for arm in section.arms if arm.key == first.arm)
    scores, against = _scores(section, group), _scores(section, full or ())
    names = list(dict.fromkeys(name for each in scores.values() for name in each))
    cells = {}
    for metric in section.modality.metrics(section.section, first.task, names):
        name = metric.name
        own = [record for record in group if name in scores.get(record.item, {})]
        if len(own) < len(scores) and not metric.partial:
            continue
        score = estimate([scores[record.item][name] for record in own], **options(own, metric, bootstrap))
        common = [record for record in own if name in against.get(record.item, {})]
        difference = relative = None
        if common and first.size != "full":
            pair = [scores[r.item][name] for r in common], [against[r.item][name] for r in common]
            how = options(common, metric, bootstrap)
            difference = paired(*pair, **how)
            relative = ratio(*pair, **how) if metric.higher_is_better else None
        cells[name] = Cell(metric, score, difference, relative)
    return Row(
        section=first.section,
        task=first.task,
        policy=first.policy,
        budget=first.budget,
        schedule=first.schedule,
        size=first.size,
        fit=first.fit,
        cells=cells,
        groups=by_tag(
            group,
            scores,
            next((cell.metric for cell in cells.values() if cell.metric.headline), None),
            section.modality.not_compared,
            bootstrap,
        ),
        learned=arm.learned,
        origin=origin_in_words(arm, section.section.policies.get(arm.label)),
        scores=scores,
        records=tuple(group),
    )


def _scores(section: SectionPlan, records: Iterable[Record]) -> dict[str, Mapping[str, float]]:
    """By item and metric, as tables show them."""
    read = section.modality.scores
    return {record.item: read(section.section, record.facts, record.scores) for record in records if record.scores}
