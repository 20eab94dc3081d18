"""The terminal's table of a rollout: policies down, sizes grouped."""

from rich import box
from rich.table import Table

from namm_xmodal.report.rollout_summary import RolloutRow
from namm_xmodal.rollouts.statistics import Aggregate

STATISTICS = {"frozen": "frozen", "estimated": "estimated", "estimated_by_layer": "by layer"}
BY_MODEL_WIDTH = 110
"""Narrower terminals do not show the means of single models."""


def rollout_table(rows: list[RolloutRow], title: str, score: str, width: int = 180) -> Table:
    """One row per policy and size.

    Args:
        rows: What to show.
        title: Models, environment, target.
        score: What the scores are normalised by (d4rl, dataset, measured); `success` for returns of 0 or 1, else empty.
        width: Of the terminal.
    """
    first = rows[0].returns
    level, kind, models = first.level, "IQM" if first.kind == "iqm" else "mean", len(first.by_model)
    counts = sorted({row.returns.n for row in rows})
    scored = any(row.scores is not None for row in rows)
    by_model = models > 1 and width >= BY_MODEL_WIDTH
    table = Table(title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("policy", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    name = f"{score} score" if scored else score or "return"
    n = " to ".join(map(str, sorted({counts[0], counts[-1]})))
    table.add_column(f"{name}, {kind}\n[{level:.0%}], n = {n}", justify="right", no_wrap=True)
    if scored:
        table.add_column(f"return\n{kind}", justify="right", no_wrap=True)
    if by_model:
        table.add_column("each\nmodel", justify="right", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    table.add_column("tokens kept\nmean (end)", justify="right", no_wrap=True)
    for group in _by_size(rows):
        for row in group:
            shown = row.scores or row.returns
            label = f"{row.policy}, {STATISTICS[row.statistics]}" if row.statistics else row.policy
            cells = [label, row.size, _interval(shown)]
            if scored:
                cells.append(_number(row.returns.value))
            if by_model:
                cells.append(" ".join(_number(value) for value in shown.by_model.values()))
            cells += [f"{row.length:.0f}", f"{row.kept_mean:.0f} ({row.kept_end:.0f})"]
            table.add_row(*cells, style="bold" if row.size == "all" else "")
        table.add_section()
    failed = sum(row.failed for row in rows)
    table.caption = (
        f"{'IQM: mean of the middle half' if kind == 'IQM' else 'mean'} of n = models x episodes; stratified bootstrap "
        f"over the episodes of {models} model{'s' if models > 1 else ''}"
        + (f"; {failed} episodes failed" if failed else "")
    )
    return table


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
