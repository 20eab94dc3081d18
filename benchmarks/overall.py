"""Means over all items of a section, whatever their task, and paired differences to some of its policies.

    namm-xmodal eval language/heads_gemma3
    python benchmarks/overall.py results/heads_gemma3 --minus full keydiff geometry
    python benchmarks/overall.py results/ruler-4k --minus full keydiff --csv docs/results/ruler/4k/overall.csv

Of each task the first headline metric counts; intervals are 95%, 2,000 resamples by item group, as in the report. The CSV
file has a row for each mean (`minus` is empty) and for each difference, for benchmarks/result_pages.py.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from namm_xmodal.errors import NammError
from namm_xmodal.evaluation.estimate import Estimate, estimate, paired
from namm_xmodal.report.read import read_results
from namm_xmodal.report.summary import Summary, summarise

Arm = tuple[str, str]
"""Policy and size."""
Scores = dict[tuple[str, str], float]
"""By task and item."""


@dataclass(frozen=True)
class Mean:
    """Of one arm over all items, or its difference to another on the items of both.

    Attributes:
        section: Of the results.
        policy: Label.
        size: In words.
        kept: Share of the cache that was held, mean over tasks.
        n: Items.
        minus: Label of the other policy; empty for a mean.
        value: The mean, or the difference.
        low: Lower end of the interval.
        high: Upper end of it.
    """

    section: str
    policy: str
    size: str
    kept: float
    n: int
    minus: str
    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """Value and interval."""
        sign = "+" if self.minus else ""
        return f"{self.value:{sign}.3f} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"


def means_of(summary: Summary, section: str, minus: list[str]) -> Iterator[Mean]:
    """Of every arm its mean, then its differences to `minus` at its size, or to the full cache."""
    arms: dict[Arm, Scores] = {}
    groups: dict[tuple[str, str], str] = {}
    kept: dict[Arm, list[float]] = {}
    for task in summary.tasks(section):
        metric = summary.headline(section, task)[0].name
        for row in summary.of(section, task):
            arm = (row.policy, row.size)
            kept.setdefault(arm, []).append(row.kept.fraction)
            for record in row.scored:
                arms.setdefault(arm, {})[task, record.item] = record.scores[metric]
                groups[task, record.item] = record.group
    for (policy, size), scores in arms.items():

        def mean(items: list[tuple[str, str]], name: str, found: Estimate, arm: Arm = (policy, size)) -> Mean:
            share = sum(kept[arm]) / len(kept[arm])
            return Mean(section, *arm, share, len(items), name, found.value, found.low, found.high)

        items = sorted(scores)
        clusters = [groups[item] for item in items]
        yield mean(items, "", estimate([scores[item] for item in items], clusters=clusters))
        for name in minus:
            other = arms.get((name, size)) or arms.get((name, "full")) or {}
            both = sorted(scores.keys() & other.keys()) if name != policy else []
            if both:
                sides = [scores[item] for item in both], [other[item] for item in both]
                yield mean(both, name, paired(*sides, clusters=[groups[item] for item in both]))


def show(title: str, means: list[Mean], minus: list[str]) -> None:
    """A table with a line for each arm."""
    shown = Table(title=title)
    for column in ("policy", "size", "kept", "n", "mean", *(f"minus {name}" for name in minus)):
        shown.add_column(column)
    for each in means:
        if not each.minus:
            of_arm = {
                other.minus: str(other) for other in means if (other.policy, other.size) == (each.policy, each.size)
            }
            differences = [of_arm.get(name, "") for name in minus]
            shown.add_row(each.policy, each.size, f"{each.kept:.1%}", str(each.n), str(each), *differences)
    Console(width=160).print(shown)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="of results")
    parser.add_argument("--minus", nargs="+", default=["full", "keydiff"], help="labels of policies to compare with")
    parser.add_argument("--csv", type=Path, help="also write the means of all folders to this file")
    arguments = parser.parse_args()
    found: list[Mean] = []
    for folder in arguments.folders:
        try:
            results = read_results(folder)
        except NammError as error:
            raise SystemExit(str(error)) from None
        summary = summarise(results.records, results.plan, results.config.run.bootstrap)
        for section in summary.sections():
            labels = {row.policy for row in summary.of(section)}
            if unknown := [name for name in arguments.minus if name not in labels]:
                raise SystemExit(f"--minus {unknown[0]}: no policy of {folder}; known: {', '.join(sorted(labels))}")
            means = list(means_of(summary, section, arguments.minus))
            show(f"{folder}: {section}", means, arguments.minus)
            found += means
    if arguments.csv:
        try:
            with arguments.csv.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, [field.name for field in fields(Mean)])
                writer.writeheader()
                writer.writerows(map(asdict, found))
        except OSError as error:
            raise SystemExit(f"{arguments.csv}: cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    main()
