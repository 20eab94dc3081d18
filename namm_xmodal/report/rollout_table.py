"""The terminal's table of a rollout: policies down, sizes grouped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from namm_xmodal.report.fitted import add_labels, fitted
from namm_xmodal.report.rollout_summary import RolloutRow
from namm_xmodal.report.words import counted
from namm_xmodal.rollouts.statistics import Aggregate

STATISTICS = {"frozen": "frozen", "estimated": "estimated", "estimated_by_layer": "by layer"}


@dataclass(frozen=True)
class _Column:
    head: str
    cell: Callable[[RolloutRow], str]


def rollout_tables(rows: list[RolloutRow], title: str, score: str, width: int = 180) -> list[Table]:
    """Tables of at most `width` characters, with one row per policy and size.

    Args:
        rows: What to show.
        title: Models, environment, target.
        score: What the scores are normalised by (d4rl, dataset, measured); `success` for returns of 0 or 1, else empty.
        width: Of the terminal.
    """
    first = rows[0].returns
    kind, models = "IQM" if first.kind == "iqm" else "mean", len(first.by_model)
    tables = fitted(lambda columns: _table(rows, columns), _columns(rows, score, kind, models), width)
    failed = sum(row.failed for row in rows)
    tables[0].title = title
    tables[-1].caption = (
        f"{'IQM: mean of the middle half' if kind == 'IQM' else 'mean'} of n = models x episodes; stratified bootstrap "
        f"over the episodes of {counted(models, 'model')}"
        + (f"; {counted(failed, 'episode')} failed" if failed else "")
    )
    return tables


def _columns(rows: list[RolloutRow], score: str, kind: str, models: int) -> list[_Column]:
    level = rows[0].returns.level
    counts = sorted({row.returns.n for row in rows})
    n = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    scored = any(row.scores is not None for row in rows)
    name = f"{score} score" if scored else score or "return"
    columns = [_Column(f"{name}, {kind}\n[{level:.0%}], n = {n}", lambda row: _interval(row.scores or row.returns))]
    if scored:
        columns.append(_Column(f"return\n{kind}", lambda row: _number(row.returns.value)))
    if models > 1:
        columns.append(_Column("each\nmodel", _each_model))
    columns.append(_Column("steps", lambda row: f"{row.length:.0f}"))
    columns.append(_Column("tokens kept\nmean (end)", lambda row: f"{row.kept_mean:.0f} ({row.kept_end:.0f})"))
    return columns


def _table(rows: list[RolloutRow], columns: Sequence[_Column]) -> Table:
    table = Table(title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    add_labels(table, "memory")
    for column in columns:
        table.add_column(column.head, justify="right", no_wrap=True)
    for group in _by_size(rows):
        for row in group:
            label = f"{row.policy}, {STATISTICS[row.statistics]}" if row.statistics else row.policy
            cells = [column.cell(row) for column in columns]
            table.add_row(label, row.size, *cells, style="bold" if row.size == "all" else "")
        table.add_section()
    return table


def _each_model(row: RolloutRow) -> str:
    """The values of the models, at most five on a line."""
    values = [_number(value) for value in (row.scores or row.returns).by_model.values()]
    return "\n".join(" ".join(values[start : start + 5]) for start in range(0, len(values), 5))


def _by_size(rows: list[RolloutRow]) -> list[list[RolloutRow]]:
    """Rows that decide their size themselves first, then those of each budget."""
    groups: dict[str, list[RolloutRow]] = {}
    for row in rows:
        groups.setdefault("" if row.budget is None else row.size, []).append(row)
    return list(groups.values())


def _interval(value: Aggregate) -> str:
    if value.low is None or value.high is None:
        return f"{_number(value.value)} [n = 1]"
    return f"{_number(value.value)} [{_number(value.low)}, {_number(value.high)}]"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 5 else f"{value:.1f}" if abs(value) < 200 else f"{value:.0f}"
