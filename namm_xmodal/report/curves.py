"""Score against kept cache: one panel for each task, one line for each policy, intervals, the full cache for reference."""

import math
from collections.abc import Sequence
from typing import Any

from namm_xmodal.evaluation.modality import Metric
from namm_xmodal.report.figure import INK, RULE, Figure, blank
from namm_xmodal.report.styles import Style, styles
from namm_xmodal.report.summary import Cell, Row, Summary
from namm_xmodal.report.words import digits_for, interval_words, listed

MOST_PANELS = 12
FEWEST_ITEMS = 2
"""A panel of single items would show noise as a curve, so it is not drawn."""

_LINES = {"post_context": "-.", "post_prefill": ":", "before": "--"}


def draw_curves(summary: Summary, section: str) -> Figure | None:
    """The curves of a section; None if no task has enough items, or nothing but the full cache.

    Args:
        summary: All rows.
        section: Name of the section.
    """
    panels = _panels(summary, section)
    if not panels:
        return None
    labels = list(dict.fromkeys(row.policy for row in summary.of(section) if not row.full))
    repeated = {task for task, _ in panels if sum(each == task for each, _ in panels) > 1}
    looks = styles(labels, {row.policy for row in summary.of(section) if row.learned})
    across = 2 if len(panels) == 4 else min(len(panels), 3)
    down = math.ceil(len(panels) / across)
    drawing, axes = blank(3.5 * across + 2.6, 3.0 * down + 0.5, down, across)
    values: dict[str, str] = {}
    arms: dict[str, str] = {}
    for place, (task, metric) in enumerate(panels):
        axis = axes[place // across][place % across]
        _panel(axis, place, summary.of(section, task), metric, looks, values, arms)
        axis.set_title(f"{task}: {metric.name}" if task in repeated else task, fontsize=10, color=INK)
    for place in range(len(panels), across * down):
        axes[place // across][place % across].set_visible(False)
    handles = {
        label: handle for axis in axes.ravel() for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    drawing.legend(
        handles.values(), handles.keys(), loc="outside right upper", fontsize=8, frameon=False, labelcolor=INK
    )
    tasks = listed(task for task, _ in panels)
    alt = f"{section}: score against kept share of the cache for {listed(labels)} on {tasks}; the tables give every value."
    return Figure(
        f"curves-{section.replace('@', '-')}",
        alt,
        drawing,
        values,
        arms,
        summary.fingerprints(section),
    )


def _panels(summary: Summary, section: str) -> list[tuple[str, Metric]]:
    found = []
    for task in summary.tasks(section):
        for metric in summary.headline(section, task):
            rows = [row for row in summary.of(section, task) if metric.name in row.cells]
            cells = [row.cells[metric.name] for row in rows]
            if all(row.full for row in rows):
                continue
            if max((cell.score.n for cell in cells), default=0) >= FEWEST_ITEMS:
                found.append((task, metric))
    return found[:MOST_PANELS]


def _panel(
    axis: Any,
    number: int,
    rows: Sequence[Row],
    metric: Metric,
    looks: dict[str, Style],
    values: dict[str, str],
    arms: dict[str, str],
) -> None:
    held = [(row, row.cells[metric.name]) for row in rows if metric.name in row.cells]
    for row, cell in held:
        if row.full:
            axis.axhline(cell.score.value, color=INK, linestyle="--", linewidth=1.1, label=f"{row.policy} (all kept)")
            if cell.score.low is not None and cell.score.high is not None:
                axis.axhspan(cell.score.low, cell.score.high, color="#808080", alpha=0.15, linewidth=0)
    lines: dict[tuple[str, str], list[tuple[Row, Cell]]] = {}
    for row, cell in held:
        if not row.full:
            lines.setdefault((row.policy, row.schedule), []).append((row, cell))
    several = len({schedule for _, schedule in lines if schedule not in ("before", "none")}) > 1
    for place, ((policy, schedule), line) in enumerate(lines.items()):
        look = looks[policy]
        # Intervals at the same size must not hide each other.
        shift = min(0.4, 5 / len(lines)) * (place - (len(lines) - 1) / 2)
        label = f"{policy} · {schedule}" if several and schedule not in ("before", "none") else policy
        line = sorted(line, key=lambda each: each[0].kept.fraction)
        _line(axis, [(row, cell, 100 * row.kept.fraction + shift) for row, cell in line], label, schedule, look)
        for at, (row, cell) in enumerate(line):
            mark = f"mark-{number}-{place}-{at}"
            kept = 100 * row.kept.fraction + shift
            (point,) = axis.plot(
                [kept],
                [cell.score.value],
                marker=look.marker,
                markersize=look.size,
                color=look.colour,
                linestyle="none",
                zorder=5 if look.front else 3,
            )
            point.set_gid(mark)
            values[mark] = _words(row, cell)
            arms[mark] = policy
    name = metric.name if metric.higher_is_better else f"{metric.name} (lower is better)"
    axis.set_ylabel(f"{name}, n = {held[0][1].score.n}", fontsize=8, color=INK)
    axis.set_xlabel("cache kept when answering (%)", fontsize=8, color=INK)
    axis.set_xlim(0, 104)
    axis.grid(color=RULE, alpha=0.6, linewidth=0.6)


def _line(axis: Any, points: Sequence[tuple[Row, Cell, float]], label: str, schedule: str, look: Style) -> None:
    means = [cell.score.value for _, cell, _ in points]
    # A percentile interval may miss its own estimate by rounding, and matplotlib refuses lengths below zero.
    lengths = [
        [max(0.0, mean - _end(cell.score.low, mean)) for (_, cell, _), mean in zip(points, means, strict=True)],
        [max(0.0, _end(cell.score.high, mean) - mean) for (_, cell, _), mean in zip(points, means, strict=True)],
    ]
    axis.errorbar(
        [kept for _, _, kept in points],
        means,
        yerr=lengths,
        label=label,
        color=look.colour,
        marker=look.marker,
        markersize=look.size,
        linestyle=_LINES.get(schedule, look.dashes),
        linewidth=look.width,
        elinewidth=0.8,
        capsize=2,
        alpha=1.0 if look.front else 0.75,
        zorder=4 if look.front else 2,
    )


def _end(end: float | None, mean: float) -> float:
    return mean if end is None else end


def _words(row: Row, cell: Cell) -> str:
    score = interval_words(cell.score, digits_for([cell.score.value]))
    n = "" if cell.score.n == 1 else f", n = {cell.score.n}"
    return f"{row.label}, {row.size}: {cell.metric.name} {score} at {row.kept.fraction:.1%} kept{n}"
