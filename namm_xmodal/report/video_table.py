"""The terminal's tables of a video evaluation: one of scores and costs, one of accuracy apart by groups."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from namm_xmodal.evaluation.statistics import Interval
from namm_xmodal.report.video_summary import GROUPINGS, VideoRow

WIDE = 118
"""From this width on, costs stand in the table of scores, and scores have three digits."""


def video_tables(rows: Sequence[VideoRow], benchmark: Any, width: int = 120) -> list[Table]:
    """Scores and costs; then accuracy by question type, duration and place of the evidence, as far as there are several.

    Args:
        rows: What to show.
        benchmark: Says which score is official.
        width: Width of the terminal.
    """
    tables = [_scores(rows, benchmark, width >= WIDE)]
    if width < WIDE:
        tables.append(_costs(rows))
    for grouping in GROUPINGS:
        groups = list(dict.fromkeys(group for row in rows for group in row.apart[grouping]))
        if len(groups) > 1:
            tables.append(_apart(rows, grouping, sorted(groups)))
    return tables


def _scores(rows: Sequence[VideoRow], benchmark: Any, wide: bool) -> Table:
    generated = any(row.generated is not None for row in rows)
    digits = 3 if wide else 2
    table = _empty(rows)
    table.add_column("kept\nvisual", justify="right", no_wrap=True)
    count = max((row.accuracy.n for row in rows if row.accuracy), default=0)
    table.add_column(f"accuracy\nn = {count}", no_wrap=True)
    table.add_column("to full cache", no_wrap=True)
    if benchmark.macro:
        table.add_column("mean of types\n(official)", no_wrap=True)
    if generated:
        table.add_column("gene-\nrated", justify="right")
        table.add_column("un-\nparsed", justify="right")
        if benchmark.without_unparsed:
            table.add_column("parsed only\n(official)", justify="right")
    table.add_column("skip-\nped", justify="right")
    if wide:
        _cost_columns(table)
    for row in _sections(table, rows):
        cells: list[Any] = [f"{row.kept:.0%}" if not wide else f"{row.kept:.1%}"]
        cells += [_interval(row.accuracy, digits), _difference(row.difference, digits)]
        if benchmark.macro:
            cells.append(_interval(row.macro, digits))
        if generated:
            cells += [_number(row.generated, digits), str(row.unparsed)]
            if benchmark.without_unparsed:
                cells.append(_number(row.generated_answered, digits))
        _add(table, row, rows, [*cells, str(row.skipped), *(_cost_cells(row) if wide else [])])
    level = next((row.accuracy.level for row in rows if row.accuracy), 0.95)
    table.caption = (
        f"[{level:.0%} interval]; difference to the full cache on the same questions, * excludes 0. kept visual: share of "
        "the video's visual tokens in the cache when answering, mean over layers and heads."
        + (f" {_timing(rows)}" if wide else "")
    )
    return table


def _costs(rows: Sequence[VideoRow]) -> Table:
    table = _empty(rows)
    _cost_columns(table)
    for row in _sections(table, rows):
        _add(table, row, rows, _cost_cells(row))
    table.caption = _timing(rows)
    return table


def _empty(rows: Sequence[VideoRow]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption_justify="left", title_justify="left")
    table.add_column("policy", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    return table


def _cost_columns(table: Table) -> None:
    for name in ("prefill\nms", "decode\nms", "KV\nKiB"):
        table.add_column(name, justify="right")


def _cost_cells(row: VideoRow) -> list[str]:
    return [f"{1000 * row.prefill_seconds:.1f}", f"{1000 * row.decode_seconds:.1f}", f"{row.live_bytes / 1024:.0f}"]


def _timing(rows: Sequence[VideoRow]) -> str:
    vision = next((row.vision_seconds for row in rows), 0.0)
    return f"CPU time per question; the vision tower takes {1000 * vision:.1f} ms per video, once for all rows."


def _sections(table: Table, rows: Sequence[VideoRow]) -> Iterator[VideoRow]:
    """Rows by size, with a line between sizes."""
    before: str | None = None
    for row in _by_size(rows):
        if before is not None and row.size != before:
            table.add_section()
        before = row.size
        yield row


def _add(table: Table, row: VideoRow, rows: Sequence[VideoRow], cells: Sequence[Any]) -> None:
    several = len({each.protocol for each in rows} - {"none", "before"}) > 1
    name = f"{row.policy} · {row.protocol}" if several and row.protocol not in ("none", "before") else row.policy
    table.add_row(name, row.size, *cells, style="bold" if row.protocol == "none" else "")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _by_size(rows: Sequence[VideoRow]) -> list[VideoRow]:
    groups: dict[str, list[VideoRow]] = {}
    for row in rows:
        groups.setdefault(row.size, []).append(row)
    return [row for group in groups.values() for row in group]


def _apart(rows: Sequence[VideoRow], grouping: str, groups: list[str]) -> Table:
    table = _empty(rows)
    table.title = f"accuracy by {'place of the evidence' if grouping == 'evidence' else grouping}"
    for group in groups:
        counts = [row.apart[grouping][group][1] for row in rows if group in row.apart[grouping]]
        table.add_column(f"{group}\nn={max(counts, default=0)}", justify="right")
    for row in _sections(table, rows):
        found = row.apart[grouping]
        _add(table, row, rows, [_number(found[g][0], 2) if g in found else "-" for g in groups])
    return table


def _interval(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.{digits}f} [n = 1]"
    return f"{interval.mean:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _difference(interval: Interval | None, digits: int) -> Text:
    if interval is None or interval.low is None or interval.high is None:
        return Text("-", style="dim")
    sure = interval.excludes_zero
    style = "dim" if not sure else "green" if interval.mean > 0 else "red"
    mean, low, high = (f"{value:+.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return Text(f"{mean} [{low}, {high}]{'*' if sure else ''}", style=style)
