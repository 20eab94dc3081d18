"""The terminal's tables of a video evaluation: one of scores and costs, one of accuracy apart by groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from namm_xmodal.evaluation.statistics import FEWEST, Interval
from namm_xmodal.report.fitted import add_labels, fitted
from namm_xmodal.report.table import HEAD_WIDTH
from namm_xmodal.report.video_summary import GROUPINGS, VideoRow

WIDE = 118
"""From this width on, costs stand in the table of scores, and scores have three digits."""


@dataclass(frozen=True)
class _Column:
    head: str
    cell: Callable[[VideoRow], str | Text]
    justify: Literal["left", "right"] = "right"


def video_tables(rows: Sequence[VideoRow], benchmark: Any, width: int = 120) -> list[Table]:
    """Scores and costs; then accuracy by question type, duration and place of the evidence, as far as there are several.

    Args:
        rows: What to show.
        benchmark: Says which score is official.
        width: Width of the terminal; no table is wider.
    """

    def make(columns: Sequence[_Column]) -> Table:
        return _table(rows, columns)

    scores, costs = _scores(rows, benchmark, 3 if width >= WIDE else 2), _costs()
    level = next((row.accuracy.level for row in rows if row.accuracy), 0.95)
    legend = (
        f"[{level:.0%} interval]; difference to the full cache on the same questions, * excludes 0, n >= {FEWEST}. kept "
        "visual: share of the video's visual tokens in the cache when answering, mean over layers and heads."
    )
    if width >= WIDE:
        tables = fitted(make, [*scores, *costs], width)
        tables[-1].caption = f"{legend} {_timing(rows)}"
    else:
        tables = fitted(make, scores, width)
        tables[-1].caption = legend
        tables += fitted(make, costs, width)
        tables[-1].caption = _timing(rows)
    for grouping in GROUPINGS:
        groups = list(dict.fromkeys(group for row in rows for group in row.apart[grouping]))
        if len(groups) > 1:
            apart = fitted(make, [_group(rows, grouping, group) for group in sorted(groups)], width)
            apart[0].title = f"accuracy by {'place of the evidence' if grouping == 'evidence' else grouping}"
            tables += apart
    return tables


def _scores(rows: Sequence[VideoRow], benchmark: Any, digits: int) -> list[_Column]:
    count = max((row.accuracy.n for row in rows if row.accuracy), default=0)
    columns = [
        _Column("kept\nvisual", lambda row: f"{row.kept:.{digits - 2}%}"),
        _Column(f"accuracy\nn = {count}", lambda row: _interval(row.accuracy, digits), "left"),
        _Column("to full cache", lambda row: _difference(row.difference, digits), "left"),
    ]
    if benchmark.macro:
        columns.append(_Column("mean of types\n(official)", lambda row: _interval(row.macro, digits), "left"))
    if any(row.generated is not None for row in rows):
        columns.append(_Column("gene-\nrated", lambda row: _number(row.generated, digits)))
        columns.append(_Column("un-\nparsed", lambda row: str(row.unparsed)))
        if benchmark.without_unparsed:
            columns.append(_Column("parsed only\n(official)", lambda row: _number(row.generated_answered, digits)))
    columns.append(_Column("skip-\nped", lambda row: str(row.skipped)))
    return columns


def _costs() -> list[_Column]:
    return [
        _Column("prefill\nms", lambda row: f"{1000 * row.prefill_seconds:.1f}"),
        _Column("decode\nms", lambda row: f"{1000 * row.decode_seconds:.1f}"),
        _Column("KV\nKiB", lambda row: f"{row.live_bytes / 1024:.0f}"),
    ]


def _group(rows: Sequence[VideoRow], grouping: str, group: str) -> _Column:
    counts = [row.apart[grouping][group][1] for row in rows if group in row.apart[grouping]]

    def cell(row: VideoRow) -> str:
        found = row.apart[grouping]
        return _number(found[group][0], 2) if group in found else "-"

    return _Column("\n".join([*wrap(group, HEAD_WIDTH), f"n={max(counts, default=0)}"]), cell)


def _table(rows: Sequence[VideoRow], columns: Sequence[_Column]) -> Table:
    """Rows by size, with a line between sizes."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption_justify="left", title_justify="left")
    add_labels(table, "size")
    for column in columns:
        table.add_column(column.head, justify=column.justify, no_wrap=True)
    several = len({row.protocol for row in rows} - {"none", "before"}) > 1
    before: str | None = None
    for row in _by_size(rows):
        if before is not None and row.size != before:
            table.add_section()
        before = row.size
        name = f"{row.policy} · {row.protocol}" if several and row.protocol not in ("none", "before") else row.policy
        cells = [column.cell(row) for column in columns]
        table.add_row(name, row.size, *cells, style="bold" if row.protocol == "none" else "")
    return table


def _timing(rows: Sequence[VideoRow]) -> str:
    vision = next((row.vision_seconds for row in rows), 0.0)
    return f"CPU time per question; the vision tower takes {1000 * vision:.1f} ms per video, once for all rows."


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _by_size(rows: Sequence[VideoRow]) -> list[VideoRow]:
    groups: dict[str, list[VideoRow]] = {}
    for row in rows:
        groups.setdefault(row.size, []).append(row)
    return [row for group in groups.values() for row in group]


def _interval(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.{digits}f} [n = 1]"
    return f"{interval.mean:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _difference(interval: Interval | None, digits: int) -> Text:
    if interval is None or interval.low is None or interval.high is None:
        return Text("-", style="dim")
    sure = interval.marked
    style = "dim" if not sure else "green" if interval.mean > 0 else "red"
    mean, low, high = (f"{value:+.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return Text(f"{mean} [{low}, {high}]{'*' if sure else ''}", style=style)
