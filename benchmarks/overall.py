"""Means over all items of a section, whatever their task, and paired differences to some of its policies.

    namm-xmodal eval language/heads_gemma3
    python benchmarks/overall.py results/heads_gemma3 --minus full keydiff geometry

Of each task the first headline metric counts; intervals are 95%, 2,000 resamples by item group, as in the report.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from namm_xmodal.errors import NammError
from namm_xmodal.evaluation.estimate import Estimate, estimate, paired
from namm_xmodal.report.read import read_results
from namm_xmodal.report.summary import Row, summarise

Scores = dict[tuple[str, str], float]
"""By task and item."""


def words(found: Estimate, signed: bool = False) -> str:
    """Value and interval."""
    sign = "+" if signed else ""
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="of results")
    parser.add_argument("--minus", nargs="+", default=["full", "keydiff"], help="labels of policies to compare with")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        try:
            results = read_results(folder)
        except NammError as error:
            raise SystemExit(str(error)) from None
        summary = summarise(results.records, results.plan, results.config.run.bootstrap)
        for section in summary.sections():
            arms: dict[tuple[str, str], Scores] = {}
            groups: dict[tuple[str, str], str] = {}
            rows: dict[tuple[str, str], list[Row]] = {}
            for task in summary.tasks(section):
                metric = summary.headline(section, task)[0].name
                for row in summary.of(section, task):
                    arm = (row.policy, row.size)
                    rows.setdefault(arm, []).append(row)
                    for record in row.scored:
                        arms.setdefault(arm, {})[task, record.item] = record.scores[metric]
                        groups[task, record.item] = record.group
            shown = Table(title=f"{folder}: {section}")
            for column in ("policy", "size", "kept", "n", "mean", *(f"minus {name}" for name in arguments.minus)):
                shown.add_column(column)
            for (policy, size), scores in arms.items():
                items = sorted(scores)
                kept = sum(row.kept.fraction for row in rows[policy, size]) / len(rows[policy, size])
                mean = estimate([scores[item] for item in items], clusters=[groups[item] for item in items])
                cells = [policy, size, f"{kept:.1%}", str(len(items)), words(mean)]
                for name in arguments.minus:
                    other = arms.get((name, size)) or arms.get((name, "full"))
                    both = sorted(scores.keys() & other.keys()) if other and name != policy else []
                    found = (
                        paired(
                            [scores[item] for item in both],
                            [other[item] for item in both],
                            clusters=[groups[item] for item in both],
                        )
                        if other and both
                        else None
                    )
                    cells.append(words(found, signed=True) if found else "")
                shown.add_row(*cells)
            Console(width=160).print(shown)


if __name__ == "__main__":
    main()
