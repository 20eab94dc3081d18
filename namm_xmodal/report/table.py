"""The terminal's table: policies down, tasks across, as many tasks side by side as the terminal is wide."""

from collections.abc import Sequence
from textwrap import wrap

from rich.table import Table
from rich.text import Text

from namm_xmodal.evaluation.metrics import lower_is_better
from namm_xmodal.evaluation.statistics import FEWEST, Interval
from namm_xmodal.report.fitted import add_labels, fitted
from namm_xmodal.report.summary import FULL, Cell, Row, Summary

HEAD_WIDTH = 30
"""Longer names of tasks and metrics are folded: `+0.000 [-0.000, +0.000]* 100%` below them has as much."""

SMALL = 0.2
"""Scores below this get three digits after the point instead of two, or their differences would all read 0.00."""


def score_tables(summary: Summary, width: int = 120) -> list[Table]:
    """Tables of at most `width` characters; each cell holds score, interval, difference, kept share.

    Args:
        summary: What to show.
        width: Width of the terminal.
    """
    tables = fitted(lambda columns: _table(summary, columns), summary.columns(), width)
    if tables:
        level = summary.cells[0].score.level
        tables[-1].caption = (
            f"score [{level:.0%} interval]; below: paired difference to the full cache [{level:.0%}], cache kept when "
            f"answering. * the interval of the difference excludes 0, n >= {FEWEST}"
        )
    return tables


def _digits(summary: Summary) -> dict[tuple[str, str], int]:
    """Digits after the point for each column."""
    largest: dict[tuple[str, str], float] = {}
    for cell in summary.shown():
        largest[cell.column] = max(abs(cell.score.mean), largest.get(cell.column, 0.0))
    return {column: 3 if 0 < value < SMALL else 2 for column, value in largest.items()}


def _table(summary: Summary, columns: Sequence[tuple[str, str]]) -> Table:
    cells = {(cell.row, cell.column): cell for cell in summary.shown()}
    digits = _digits(summary)
    several_protocols = len({cell.protocol for cell in cells.values()} - {FULL}) > 1
    table = Table(caption_justify="left")
    add_labels(table, "cache")
    for task, metric in columns:
        counts = sorted({cell.score.n for (_, column), cell in cells.items() if column == (task, metric)})
        head = [task, metric, *(["(lower is better)"] if lower_is_better(metric) else [])]
        head.append(f"n = {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))}")
        table.add_column("\n".join(part for line in head for part in wrap(line, HEAD_WIDTH)), no_wrap=True)
    size_before: str | None = None
    for row in _by_size(summary, cells):
        present = [cells[row, column] for column in columns if (row, column) in cells]
        if not present:
            continue
        size = _size(present[0], several_protocols)
        if size_before is not None and size != size_before:
            table.add_section()
        size_before = size
        table.add_row(present[0].policy, size, *(_draw(cells.get((row, column)), digits[column]) for column in columns))
    return table


def _by_size(summary: Summary, cells: dict[tuple[Row, tuple[str, str]], Cell]) -> list[Row]:
    """Rows grouped by size and protocol, groups and members in the order of the configuration."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in summary.rows():
        groups.setdefault(row[1:], []).append(row)
    return [row for group in groups.values() for row in group]


def _size(cell: Cell, several_protocols: bool) -> str:
    return f"{cell.size}\n{cell.protocol}" if several_protocols and cell.protocol != FULL else cell.size


def _draw(cell: Cell | None, digits: int) -> Text:
    if cell is None:
        return Text("-", style="dim")
    text = Text(f"{_interval(cell.score, digits)}\n", style="bold" if cell.protocol == FULL else "")
    if cell.difference is not None:
        better = (cell.difference.mean < 0) == lower_is_better(cell.metric)
        sure = cell.difference.marked
        style = "dim" if not sure else "green" if better else "red"
        text.append(f"{_interval(cell.difference, digits, sign=True)}{'*' if sure else ''} ", style=style)
    text.append(f"{cell.kept:.0%}", style="cyan")
    return text


def _interval(interval: Interval, digits: int, sign: bool = False) -> str:
    def number(value: float) -> str:
        return f"{value:{'+' if sign else ''}.{digits}f}"

    if interval.low is None or interval.high is None:
        return f"{number(interval.mean)} [n = 1]"
    return f"{number(interval.mean)} [{number(interval.low)}, {number(interval.high)}]"
