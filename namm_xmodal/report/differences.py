"""Two runs compared: paired differences of arms of the same name, size and schedule on the items that both have."""

from collections.abc import Callable, Sequence

from rich.table import Table
from rich.text import Text

from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.estimate import FEWEST
from namm_xmodal.report.comparison import Comparison, compare
from namm_xmodal.report.read import Results
from namm_xmodal.report.summary import Row, Summary, summarise
from namm_xmodal.report.words import interval_words


def differences(ours: Results, theirs: Results, notice: Callable[[str], None] = lambda text: None) -> list[Comparison]:
    """Every headline metric of every arm and task that both have, ours minus theirs.

    Args:
        ours: One run.
        theirs: The other.
        notice: Called with which sections and tasks are left out, since items of the same name are not the same items.

    Raises:
        ResultsError: If there are no pairs.
    """
    left, right = (summarise(each.records, each.plan, ours.config.run.bootstrap) for each in (ours, theirs))
    unlike = _unlike(ours, theirs, left, right)
    theirs_of = {(row.section, row.task, row.arm): row for row in right.rows}
    found = []
    for row in left.rows:
        match = theirs_of.get((row.section, row.task, row.arm))
        if match is None or (row.section, row.task) in unlike:
            continue
        for name, cell in row.cells.items():
            if cell.metric.headline and name in match.cells:
                pair = compare(row, match, name, left)
                if pair is not None:
                    found.append(pair)
    reasons = list(dict.fromkeys(unlike.values()))
    if not found:
        reason = "; ".join(reasons) or "no arm and task in common; expected equal labels, sizes and tasks"
        raise ResultsError(f"{ours.config.run.output} and {theirs.config.run.output}: {reason}")
    for reason in reasons:
        notice(f"left out: {reason}")
    return found


def _unlike(ours: Results, theirs: Results, left: Summary, right: Summary) -> dict[tuple[str, str], str]:
    """Section and task to why their items are not pairs."""
    found = {}
    seeds = {section.name: section.section.seed for section in theirs.plan}
    for section in ours.plan:
        seed, other = section.section.seed, seeds.get(section.name, section.section.seed)
        if seed != other:
            reason = (
                f"{section.name}: seed {seed} against seed {other}: items differ, so they cannot be paired; run both "
                "with the same seed"
            )
            found.update({(section.name, task): reason for task in left.tasks(section.name)})
    for section_name in left.sections():
        for task in left.tasks(section_name):
            place = (section_name, task)
            reason = _other_item(left.of(*place), right.of(*place))
            if reason and place not in found:
                found[place] = reason
    return found


def _other_item(ours: Sequence[Row], theirs: Sequence[Row]) -> str:
    """Why items that share their names are not the same, such as prompts of two lengths; empty if they are."""
    tags = {each.item: each.tags for row in theirs for each in row.records if each.status == "scored"}
    for record in (each for row in ours for each in row.records if each.status == "scored"):
        for tag, value in tags.get(record.item, {}).items():
            if record.tags.get(tag) != value:
                return (
                    f"{record.section}: {record.item}: {tag} {record.tags.get(tag)} against {value}: different items "
                    "of the same name, so they cannot be paired; run both with the same tasks"
                )
    return ""


def difference_table(found: Sequence[Comparison], ours: str, theirs: str) -> Table:
    """One line for each comparison.

    Args:
        found: The comparisons.
        ours: Name of one run.
        theirs: Name of the other.
    """
    sections = {each.ours.section for each in found}
    schedules = {each.ours.schedule for each in found} - {"none", "before"}
    table = Table(title=Text(f"{ours} minus {theirs}"), title_justify="left", caption_justify="left")
    if len(sections) > 1:
        table.add_column("section", overflow="fold")
    table.add_column("task\nmetric", overflow="fold")
    table.add_column("policy\ncache", overflow="fold")
    table.add_column("difference\nn, kept", no_wrap=True)
    for each in found:
        sure = "*" if each.verdict in ("win", "loss") else ""
        kept = " / ".join(f"{share:.0%}" for share in each.kept)
        words = interval_words(each.difference, 3, sign=True) + sure
        cells = [
            *([each.ours.section] if len(sections) > 1 else []),
            f"{each.ours.task}\n{each.metric}",
            f"{each.ours.label if len(schedules) > 1 else each.ours.policy}\n{each.ours.size}",
            f"{words}\nn = {each.difference.n}, {kept}",
        ]
        table.add_row(*map(Text, cells))
    table.caption = f"paired on common items; * the interval excludes 0, n >= {FEWEST}"
    return table
