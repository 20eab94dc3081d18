"""The terminal's tables: policies down, tasks across, as many side by side as the terminal is wide."""

from collections.abc import Callable, Sequence
from textwrap import wrap

from rich.table import Table
from rich.text import Text

from namm_xmodal.evaluation.arm import ArmKey
from namm_xmodal.evaluation.estimate import FEWEST
from namm_xmodal.evaluation.modality import Metric
from namm_xmodal.report.fitted import add_labels, fitted
from namm_xmodal.report.means import TaskMean, means_of
from namm_xmodal.report.summary import Cell, Row, Summary
from namm_xmodal.report.words import counted, digits_for, interval_words, schedules_in_words

HEAD_WIDTH = 30
"""Longer names of tasks and metrics are folded: `+0.000 [-0.000, +0.000]* 100%` below them has as much."""

Column = tuple[str, Metric]
"""Task and metric."""


def score_tables(summary: Summary, width: int = 120) -> list[Table]:
    """Tables of at most `width` characters: scores of each section, then what they cost, then scores by groups of items.

    Args:
        summary: What to show.
        width: Width of the terminal.
    """
    tables: list[Table] = []
    averaged = means_of(summary)
    for section in summary.sections():
        rows = summary.of(section)
        columns = [(task, each) for task in summary.tasks(section) for each in summary.headline(section, task)]
        first = len(tables)
        tables += fitted(lambda chosen, rows=rows: _scores(rows, chosen), columns, width)  # type: ignore[misc]
        averages = [mean for mean in averaged if mean.row.section == section]
        if averages:
            tables.append(_means(averages))
        costs = _costs(rows)
        tables += fitted(lambda chosen, rows=rows: _plain(rows, chosen), costs, width)  # type: ignore[misc]
        tables[first].title = section
        for tag, values in summary.tags(section).items():
            last = len(tables)
            tables += fitted(lambda chosen, rows=rows, tag=tag: _groups(rows, tag, chosen), values, width)  # type: ignore[misc]
            tables[last].title = f"{section}: by {tag}"
    if tables:
        tables[-1].caption = _legend(summary)
    return tables


def _legend(summary: Summary) -> str:
    """What the cells mean; only of what occurs in them."""
    cells = [cell for row in summary.rows for cell in row.cells.values() if cell.metric.headline]
    level = f"{summary.bootstrap.level:.0%}"
    score = f"score [{level} interval]" if any(cell.score.low is not None for cell in cells) else "score"
    parts = [f"{summary.incomplete}: the evaluation is not complete."] if summary.incomplete else []
    pairs = [cell.difference for cell in cells if cell.difference]
    if pairs:
        interval = f" [{level}]" if any(pair.low is not None for pair in pairs) else ""
        parts.append(
            f"{score}; below: paired difference to the full cache{interval}, cache kept when answering. * the interval of "
            f"the difference excludes 0, n >= {FEWEST}."
        )
    elif cells:
        parts.append(f"{score}; below: cache kept when answering.")
    parts += filter(None, [schedules_in_words(row.schedule for row in summary.rows)])
    if any(cell.metric.estimator == "iqm" for cell in cells):
        parts.append("IQM: mean of the middle half.")
    return " ".join(parts)


def _scores(rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    table = _empty()
    digits = [_digits(rows, task, metric.name) for task, metric in columns]
    for task, metric in columns:
        held = [row.cells[metric.name].score.n for row in rows if row.task == task and metric.name in row.cells]
        n = " to ".join(map(str, dict.fromkeys((min(held), max(held)))))
        head = [task, metric.name, *([] if metric.higher_is_better else ["(lower is better)"])]
        head.append(f"{ {'mean': '', 'macro': 'macro mean, ', 'iqm': 'IQM, '}[metric.estimator] }n = {n}".strip())
        table.add_column("\n".join(part for line in head for part in wrap(line, HEAD_WIDTH)), no_wrap=True)
    found = {(row.arm, row.task): row for row in rows}

    def cells(arm: ArmKey) -> list[Text]:
        of_arm = [found.get((arm, task)) for task, _ in columns]
        metrics = [metric.name for _, metric in columns]
        return [_draw(row, name, places) for row, name, places in zip(of_arm, metrics, digits, strict=True)]

    return _filled(table, rows, cells)


def _means(means: Sequence[TaskMean]) -> Table:
    """A benchmark's mean over its tasks, which count alike."""
    table = _empty()
    table.title = f"{means[0].row.section}: {means[0].benchmark}, mean of {counted(means[0].tasks, 'task')}"
    for head in ("score", "difference to\nthe full cache", "relative to\nthe full cache", "cache\nkept"):
        table.add_column(head, no_wrap=True)
    by_arm = {mean.row.arm: mean for mean in means}
    digits = digits_for(mean.score.value for mean in means)

    def cells(arm: ArmKey) -> list[Text]:
        mean = by_arm[arm]
        score = Text(interval_words(mean.score, digits))
        if mean.tasks != means[0].tasks:
            score.append(f" ({counted(mean.tasks, 'task')})")
        difference = relative = Text("")
        if mean.difference is not None:
            sure = mean.difference.marked
            style = "dim" if not sure else "green" if mean.difference.value > 0 else "red"
            difference = Text(f"{interval_words(mean.difference, digits, sign=True)}{'*' if sure else ''}", style=style)
        if mean.relative is not None:
            relative = Text(f"{interval_words(mean.relative, 2)} of {counted(len(mean.relative.by_stratum), 'task')}")
        elif mean.difference is not None:
            relative = Text("no task above 0", style="dim")
        return [score, difference, relative, Text(f"{mean.kept:.0%}", style="cyan")]

    return _filled(table, [mean.row for mean in means], cells)


Cost = tuple[str, Callable[[Sequence[Row]], str]]
"""Heading, and the cell of an arm's rows."""


def _costs(rows: Sequence[Row]) -> list[Cost]:
    """Tokens, bytes and CPU time, averaged over tasks; items without a score."""

    def mean(read: Callable[[Row], float], form: str) -> Callable[[Sequence[Row]], str]:
        return lambda own: format(sum(read(row) for row in own) / len(own), form)

    found: list[Cost] = [("tokens\nkept", mean(lambda row: row.kept.tokens, ".0f"))]
    if any(row.kept.full_bytes for row in rows):
        found.append(("KiB\nlive", mean(lambda row: row.kept.live_bytes / 1024, ".0f")))
        found.append(("KiB\nallocated", mean(lambda row: row.kept.allocated_bytes / 1024, ".0f")))
        found.append(("KiB\nfull", mean(lambda row: row.kept.full_bytes / 1024, ".0f")))
    found.append(("CPU s\nper item", mean(lambda row: sum(row.seconds.values()), ".3f")))
    for status in ("skipped", "failed"):
        if any(row.count(status) for row in rows):
            found.append((status, lambda own, status=status: str(sum(row.count(status) for row in own))))  # type: ignore[misc]
    return found


def _groups(rows: Sequence[Row], tag: str, columns: Sequence[tuple[str, str]]) -> Table:
    """The first headline metric of items with a value of a tag; intervals are in the report."""
    table = _empty()
    found = {(row.arm, row.task): row for row in rows}
    metrics = {
        row.task: next(name for name, cell in row.cells.items() if cell.metric.headline) for row in rows if row.groups
    }
    for task, value in columns:
        held = max(row.groups[tag][value].n for row in rows if row.task == task and value in row.groups.get(tag, {}))
        head = [*(wrap(task, HEAD_WIDTH) if len({row.task for row in rows}) > 1 else ()), metrics[task]]
        table.add_column("\n".join([*head, *wrap(value, HEAD_WIDTH), f"n = {held}"]), justify="right", no_wrap=True)

    def cells(arm: ArmKey) -> list[Text]:
        texts = []
        for task, value in columns:
            row = found.get((arm, task))
            score = None if row is None else row.groups.get(tag, {}).get(value)
            digits = _digits(rows, task, metrics[task])
            texts.append(Text("-", style="dim") if score is None else Text(f"{score.value:.{digits}f}"))
        return texts

    return _filled(table, rows, cells)


def _plain(rows: Sequence[Row], columns: Sequence[Cost]) -> Table:
    table = _empty()
    for head, _ in columns:
        table.add_column(head, justify="right", no_wrap=True)
    by_arm: dict[ArmKey, list[Row]] = {}
    for row in rows:
        by_arm.setdefault(row.arm, []).append(row)
    return _filled(table, rows, lambda arm: [Text(cell(by_arm[arm])) for _, cell in columns])


def _empty() -> Table:
    table = Table(title_justify="left", caption_justify="left")
    add_labels(table, "cache")
    return table


def _filled(table: Table, rows: Sequence[Row], cells: Callable[[ArmKey], list[Text]]) -> Table:
    """One line for each arm, those of one size together, with a line between sizes."""
    sizes: dict[str, dict[ArmKey, Row]] = {}
    for row in rows:
        sizes.setdefault(row.size, {})[row.arm] = row
    several = len({row.schedule for row in rows} - {"none", "before"}) > 1
    for size, arms in sizes.items():
        for arm, row in arms.items():
            name = (
                f"{row.policy} · {row.schedule}" if several and row.schedule not in ("none", "before") else row.policy
            )
            table.add_row(Text(name), Text(size), *cells(arm), style="bold" if row.full else "")
        table.add_section()
    return table


def _digits(rows: Sequence[Row], task: str, metric: str) -> int:
    held = [row.cells[metric].score.value for row in rows if row.task == task and metric in row.cells]
    return digits_for(held)


def _draw(row: Row | None, metric: str, digits: int) -> Text:
    cell: Cell | None = None if row is None else row.cells.get(metric)
    if row is None or cell is None:
        return Text("-", style="dim")
    text = Text(f"{interval_words(cell.score, digits)}\n")
    if cell.difference is not None:
        better = (cell.difference.value > 0) == cell.metric.higher_is_better
        sure = cell.difference.marked
        style = "dim" if not sure else "green" if better else "red"
        text.append(f"{interval_words(cell.difference, digits, sign=True)}{'*' if sure else ''} ", style=style)
    text.append(f"{row.kept.fraction:.0%}", style="cyan")
    return text
