"""Two runs compared: paired differences of arms of the same name, size and schedule on the items that both have."""

from collections.abc import Sequence

from rich.table import Table

from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.estimate import FEWEST
from namm_xmodal.report.comparison import Comparison, compare
from namm_xmodal.report.read import Results
from namm_xmodal.report.summary import Row, summarise
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
        if match is None:
            continue
        _check_items(row, match)
        for name, cell in row.cells.items():
            if cell.metric.headline and name in match.cells:
                pair = compare(row, match, name, left)
                if pair is not None:
                    found.append(pair)
    if not found:
        raise ResultsError(
            f"{ours.config.run.output} and {theirs.config.run.output}: no arm and task in common; expected equal labels, "
            "sizes and tasks"
        )
    return found


def _check_items(ours: Row, theirs: Row) -> None:
    """Refuses pairs of items that only share their names, such as prompts of two lengths."""
    tags = {record.item: record.tags for record in theirs.records if record.status == "scored"}
    for record in ours.records:
        for tag, value in tags.get(record.item, {}).items() if record.status == "scored" else ():
            if record.tags.get(tag) != value:
                raise ResultsError(
                    f"{ours.section}: {record.item}: {tag} {record.tags.get(tag)} against {value}: another item of the "
                    "same name, so no pairs; run both with equal tasks"
                )


def difference_table(found: Sequence[Comparison], ours: str, theirs: str) -> Table:
    """One line for each comparison.

    Args:
        found: The comparisons.
        ours: Name of one run.
        theirs: Name of the other.
    """
    table = Table(title=f"{ours} minus {theirs}", title_justify="left", caption_justify="left")
    table.add_column("task\nmetric", overflow="fold")
    table.add_column("policy\ncache", overflow="fold")
    table.add_column("difference\nn, kept", no_wrap=True)
    for each in found:
        sure = "*" if each.verdict in ("win", "loss") else ""
        kept = f"{each.ours.kept.fraction:.0%} / {each.theirs.kept.fraction:.0%}"
        words = interval_words(each.difference, 3, sign=True) + sure
        table.add_row(
            f"{each.ours.task}\n{each.metric}",
            f"{each.ours.policy}\n{each.ours.size}",
            f"{words}\nn = {each.difference.n}, {kept}",
        )
    table.caption = f"paired on common items; * the interval excludes 0, n >= {FEWEST}"
    return table
