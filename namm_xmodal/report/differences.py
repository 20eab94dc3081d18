"""Two runs compared: paired differences of arms of the same name, size and schedule on the items that both have."""

from collections.abc import Sequence

from rich.table import Table

from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.estimate import FEWEST
from namm_xmodal.report.comparison import Comparison, compare
from namm_xmodal.report.read import Results
from namm_xmodal.report.summary import summarise
from namm_xmodal.report.table import interval_words


def differences(ours: Results, theirs: Results) -> list[Comparison]:
    """Every headline metric of every arm and task that both have, ours minus theirs.

    Args:
        ours: One run.
        theirs: The other; samples of another seed or other settings are other items, and refused.

    Raises:
        ResultsError: If the runs have nothing in common, or items of the same name that are not the same.
    """
    bootstrap = ours.config.run.bootstrap
    left, right = (summarise(each.records, each.plan, bootstrap) for each in (ours, theirs))
    for name in {section.name for section in ours.plan} & {section.name for section in theirs.plan}:
        one, other = ({s.name: s for s in each.plan}[name].section for each in (ours, theirs))
        if one.seed != other.seed:
            raise ResultsError(
                f"{name}: seed {one.seed} against seed {other.seed}: other items, so no pairs; run both with one seed"
            )
    rows = {(row.section, row.task, row.arm): row for row in right.rows}
    found = []
    for row in left.rows:
        match = rows.get((row.section, row.task, row.arm))
        for name, cell in row.cells.items() if match else ():
            if cell.metric.headline and match is not None and name in match.cells:
                pair = compare(row, match, name, left)
                if pair is not None:
                    found.append(pair)
    if not found:
        raise ResultsError(
            f"{ours.config.run.output} and {theirs.config.run.output}: no arm and task in common; expected equal labels, "
            "sizes and tasks"
        )
    return found


def difference_table(found: Sequence[Comparison], ours: str, theirs: str) -> Table:
    """One line for each comparison.

    Args:
        found: The comparisons.
        ours: Name of one run.
        theirs: Name of the other.
    """
    table = Table(title=f"{ours} minus {theirs}", title_justify="left", caption_justify="left")
    for name in ("task", "policy", "cache", "metric"):
        table.add_column(name, no_wrap=True)
    table.add_column("difference", no_wrap=True)
    for name in ("n", "kept"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        sure = "*" if each.verdict in ("win", "loss") else ""
        kept = f"{each.ours.kept.fraction:.0%} / {each.theirs.kept.fraction:.0%}"
        words = interval_words(each.difference, 3, sign=True) + sure
        table.add_row(
            each.ours.task, each.ours.policy, each.ours.size, each.metric, words, str(each.difference.n), kept
        )
    table.caption = f"paired on common items; * the interval excludes 0, n >= {FEWEST}"
    return table
