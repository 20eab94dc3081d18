"""The terminal's tables: policies down, tasks across, as many side by side as the terminal is wide."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from namm_xmodal.evaluation.estimate import Estimate
from namm_xmodal.evaluation.modality import Metric
from namm_xmodal.report.comparison import FEWEST
from namm_xmodal.report.summary import Cell, Row, Summary

CELL_WIDTH = 28
"""`+0.00 [+0.00, +0.00]* 100%` and the lines around it; three digits take four more."""

SMALL = 0.2
"""Scores below this get three digits after the point instead of two, or their differences would all read 0.00."""

Column = tuple[str, Metric]


def score_tables(summary: Summary, width: int = 120) -> list[Table]:
    """Tables of at most `width` characters: scores of each section, then what they cost.

    Args:
        summary: What to show.
        width: Width of the terminal.
    """
    tables = []
    for section in summary.sections():
        columns = [(task, each) for task in summary.tasks(section) for each in summary.headline(section, task)]
        digits = {(task, metric.name): _digits(summary.of(section, task), metric.name) for task, metric in columns}
        rows = summary.of(section)
        names = max(len(_name(row, rows)) for row in rows) + max(len(row.size) for row in rows)
        cell = CELL_WIDTH + (4 if max(digits.values(), default=0) == 3 else 0)
        side_by_side = max(1, (width - names - 7) // cell)
        for start in range(0, len(columns), side_by_side):
            tables.append(_scores(section, rows, columns[start : start + side_by_side], digits))
        tables.append(_costs(section, rows))
    level = f"{summary.bootstrap.level:.0%}"
    if tables:
        tables[-1].caption = (
            f"score [{level} interval]; below: paired difference to the full cache [{level}], cache kept when answering. "
            f"* the interval excludes 0, n >= {FEWEST}"
        )
    return tables


def _scores(section: str, rows: Sequence[Row], columns: Sequence[Column], digits: dict[tuple[str, str], int]) -> Table:
    table = Table(title=section, title_justify="left", caption_justify="left")
    table.add_column("policy", no_wrap=True)
    table.add_column("cache", justify="right", no_wrap=True)
    for task, metric in columns:
        counts = sorted(
            {row.cells[metric.name].score.n for row in rows if row.task == task and metric.name in row.cells}
        )
        n = " to ".join(map(str, sorted({counts[0], counts[-1]}))) if counts else "0"
        direction = "" if metric.higher_is_better else "\n(lower is better)"
        table.add_column(f"{task}\n{metric.name}{direction}\n{_estimator(metric)}n = {n}", no_wrap=True)
    cells = {(row.arm, row.task): row for row in rows}
    size_before: str | None = None
    for arm in _by_size(rows):
        of_arm = [cells.get((arm, task)) for task, _ in columns]
        first = next((row for row in of_arm if row is not None), None)
        if first is None:
            continue
        if size_before is not None and first.size != size_before:
            table.add_section()
        size_before = first.size
        drawn = [
            _draw(row, None if row is None else row.cells.get(metric.name), digits[task, metric.name])
            for row, (task, metric) in zip(of_arm, columns, strict=True)
        ]
        table.add_row(_name(first, rows), first.size, *drawn)
    return table


def _costs(section: str, rows: Sequence[Row]) -> Table:
    """Tokens, bytes and CPU time; items without a score."""
    table = Table(title=f"{section}: memory and time", title_justify="left", caption_justify="left")
    table.add_column("policy", no_wrap=True)
    table.add_column("cache", justify="right", no_wrap=True)
    bytes_known = any(row.kept.full_bytes for row in rows)
    for name in ("tokens\nkept", *(("KiB\nlive", "KiB\nallocated", "KiB\nfull") if bytes_known else ()), "CPU s"):
        table.add_column(name, justify="right", no_wrap=True)
    lost = any(row.count("skipped") or row.count("failed") for row in rows)
    if lost:
        table.add_column("skipped\nfailed", justify="right", no_wrap=True)
    for arm in _by_size(rows):
        own = [row for row in rows if row.arm == arm]
        kept, n = [row.kept for row in own], len(own)
        cells = [f"{sum(each.tokens for each in kept) / n:.0f}"]
        if bytes_known:
            for name in ("live_bytes", "allocated_bytes", "full_bytes"):
                cells.append(f"{sum(getattr(each, name) for each in kept) / n / 1024:.0f}")
        cells.append(f"{sum(sum(row.seconds.values()) for row in own) / n:.3f}")
        if lost:
            cells.append(f"{sum(row.count('skipped') for row in own)} {sum(row.count('failed') for row in own)}")
        table.add_row(_name(own[0], rows), own[0].size, *cells, style="bold" if own[0].full else "")
    return table


def _digits(rows: Sequence[Row], metric: str) -> int:
    largest = max((abs(row.cells[metric].score.value) for row in rows if metric in row.cells), default=0.0)
    return 1 if largest >= 5 else 3 if 0 < largest < SMALL else 2


def _estimator(metric: Metric) -> str:
    return {"mean": "", "macro": "macro mean, ", "iqm": "IQM, "}[metric.estimator]


def _name(row: Row, rows: Sequence[Row]) -> str:
    several = len({each.schedule for each in rows} - {"none", "before"}) > 1
    return f"{row.policy} · {row.schedule}" if several and row.schedule not in ("none", "before") else row.policy


def _by_size(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Arms grouped by size and schedule, groups and members in the order of the configuration."""
    groups: dict[tuple[str, str], dict[tuple[str, str, str], None]] = {}
    for row in rows:
        groups.setdefault((row.size, row.schedule), {})[row.arm] = None
    return [arm for group in groups.values() for arm in group]


def _draw(row: Row | None, cell: Cell | None, digits: int) -> Text:
    if row is None or cell is None:
        return Text("-", style="dim")
    text = Text(f"{interval_words(cell.score, digits)}\n", style="bold" if row.full else "")
    if cell.difference is not None:
        better = (cell.difference.value > 0) == cell.metric.higher_is_better
        sure = cell.difference.excludes_zero and cell.difference.n >= FEWEST
        style = "dim" if not sure else "green" if better else "red"
        text.append(f"{interval_words(cell.difference, digits, sign=True)}{'*' if sure else ''} ", style=style)
    text.append(f"{row.kept.fraction:.0%}", style="cyan")
    return text


def interval_words(found: Estimate, digits: int, sign: bool = False) -> str:
    """`0.71 [0.60, 0.80]`.

    Args:
        found: The estimate.
        digits: After the point.
        sign: Whether to write a plus.
    """

    def number(value: float) -> str:
        return f"{value:{'+' if sign else ''}.{digits}f}"

    if found.low is None or found.high is None:
        return f"{number(found.value)} [n = 1]"
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"
