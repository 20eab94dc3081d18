"""Score against kept cache size: one panel per task, one line per policy, intervals, the full cache for reference."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from namm_xmodal.evaluation.metrics import lower_is_better
from namm_xmodal.report.picture import save_figure
from namm_xmodal.report.summary import FULL, Cell, Summary

# Okabe and Ito's colours (distinguishable with any colour vision) first, then darker ones; markers tell repeats apart.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#7F3C8D",
    "#5F4690",
    "#1B7837",
    "#994F00",
    "#8C8C00",
    "#000000",
)
MARKERS = "osD^vP*X<>pd"
PROTOCOL_LINES = {"clock": "-", "prompt_end": ":"}


def plot_scores(summary: Summary, path: Path, title: str, policies: Mapping[str, Sequence[str]]) -> list[Path]:
    """Draws the plot as PNG and SVG.

    Args:
        summary: What to draw.
        path: Without suffix: `scores` makes `scores.png` and `scores.svg`.
        title: Above the panels.
        policies: Fingerprints of the policies by label, for the metadata of the picture.

    Returns:
        The files written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = summary.columns()
    across = 2 if len(columns) == 4 else min(len(columns), 3)
    down = math.ceil(len(columns) / across)
    figure = Figure(figsize=(3.6 * across + 2.6, 3.1 * down + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False)
    styles = _styles(summary)
    for place, column in enumerate(columns):
        _panel(axes[place // across][place % across], [c for c in summary.shown() if c.column == column], styles)
    for place in range(len(columns), across * down):
        axes[place // across][place % across].set_visible(False)
    handles = {
        label: handle
        for row in axes
        for axis in row
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11)
    return save_figure(figure, path, policies)


def _styles(summary: Summary) -> dict[str, dict[str, Any]]:
    """Colour and marker of each policy, the same in all panels."""
    labels = list(dict.fromkeys(cell.policy for cell in summary.shown() if cell.protocol != FULL))
    return {
        label: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[(i + i // len(MARKERS)) % len(MARKERS)]}
        for i, label in enumerate(labels)
    }


def _panel(axis: Any, cells: list[Cell], styles: dict[str, dict[str, Any]]) -> None:
    task, metric = cells[0].column
    for cell in (each for each in cells if each.protocol == FULL):
        axis.axhline(cell.score.mean, color="0.25", linestyle="--", linewidth=1.2, label=f"{cell.policy} (100% kept)")
        if cell.score.low is not None and cell.score.high is not None:
            axis.axhspan(cell.score.low, cell.score.high, color="0.5", alpha=0.15, linewidth=0)
    rest = [cell for cell in cells if cell.protocol != FULL]
    several = len({cell.protocol for cell in rest}) > 1
    lines = list(dict.fromkeys((cell.policy, cell.protocol) for cell in rest))
    for place, (policy, protocol) in enumerate(lines):
        line = sorted(
            (cell for cell in rest if (cell.policy, cell.protocol) == (policy, protocol)), key=lambda cell: cell.kept
        )
        label = f"{policy} · {protocol}" if several else policy
        shift = min(0.4, 5 / len(lines)) * (
            place - (len(lines) - 1) / 2
        )  # so that intervals at the same size do not hide each other
        _line(axis, line, label, PROTOCOL_LINES[protocol], styles[policy], shift)
    axis.set_title(task, fontsize=10)
    axis.set_ylabel(
        f"{metric}{' (lower is better)' if lower_is_better(metric) else ''}, n = {cells[0].score.n}", fontsize=9
    )
    axis.set_xlabel("cache kept when answering (%)", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.set_xlim(0, 104)
    axis.grid(alpha=0.25, linewidth=0.6)


def _line(axis: Any, line: list[Cell], label: str, dashes: str, style: dict[str, Any], shift: float) -> None:
    kept = [100 * cell.kept + shift for cell in line]
    means = [cell.score.mean for cell in line]
    low = [cell.score.low if cell.score.low is not None else cell.score.mean for cell in line]
    high = [cell.score.high if cell.score.high is not None else cell.score.mean for cell in line]
    # A percentile interval always holds its mean up to rounding, and matplotlib refuses lengths below zero.
    lengths = [
        [max(0.0, mean - end) for mean, end in zip(means, low, strict=True)],
        [max(0.0, end - mean) for mean, end in zip(means, high, strict=True)],
    ]
    axis.errorbar(
        kept,
        means,
        yerr=lengths,
        label=label,
        linestyle=dashes,
        linewidth=1.3,
        markersize=4.5,
        elinewidth=0.8,
        capsize=2,
        alpha=0.9,
        markerfacecolor=style["color"] if dashes == "-" else "white",
        **style,
    )
