"""Score against tokens in memory, and what kind and age of token survives."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from namm_xmodal.report.picture import save_figure
from namm_xmodal.report.plot import COLOURS, MARKERS
from namm_xmodal.report.rollout_summary import RolloutRow
from namm_xmodal.rollouts.statistics import Aggregate

KINDS = ("return", "state", "action")


def plot_rollouts(
    rows: list[RolloutRow], path: Path, title: str, score: str, policies: Mapping[str, Sequence[str]]
) -> list[Path]:
    """Draws score against kept tokens as PNG and SVG.

    Args:
        rows: What to draw.
        path: Without suffix.
        title: Above the plot.
        score: Name of the vertical axis.
        policies: Fingerprints of the policies by label, for the metadata of the picture.

    Returns:
        The files written.
    """
    figure, axis = _figure(7.6, 4.4)
    labels = list(dict.fromkeys(row.policy for row in rows))
    for place, label in enumerate(labels):
        line = sorted((row for row in rows if row.policy == label), key=lambda row: row.kept_mean)
        values = [row.scores or row.returns for row in line]
        axis.errorbar(
            [max(row.kept_mean, 1.0) for row in line],
            [value.value for value in values],
            yerr=_lengths(values),
            label=label,
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)],
            linewidth=1.3,
            markersize=5,
            elinewidth=0.8,
            capsize=2,
            alpha=0.9,
        )
        if line[0].size == "all":
            axis.axhline(values[0].value, color="0.4", linestyle="--", linewidth=0.9)
    axis.set_xscale("log")
    axis.set_xlabel("tokens in memory, mean over steps, layers and heads")
    axis.set_ylabel(f"{score}, {rows[0].returns.kind}, n = {rows[0].returns.n}")
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    axis.set_title(title, fontsize=8)
    return save_figure(figure, path, policies, dpi=130)


def plot_survivors(
    rows: list[RolloutRow], ages: tuple[int, ...], path: Path, title: str, policies: Mapping[str, Sequence[str]]
) -> list[Path]:
    """Draws the share of tokens still in memory against their age, by kind, averaged over layers.

    Args:
        rows: Those with counts.
        ages: Upper ends of the bins of age, in steps.
        path: Without suffix.
        title: Above the panels.
        policies: As above.

    Returns:
        The files written.
    """
    across = min(4, len(rows))
    down = -(-len(rows) // across)
    figure, axes = _figure(2.7 * across + 0.6, 2.2 * down + 0.8, down, across)
    names = [f"<{ages[0]}" if ages[0] > 1 else "0", *(f"{a}-{b - 1}" if b - a > 1 else f"{a}" for a, b in _pairs(ages))]
    names.append(f"{ages[-1]}+")
    for place, row in enumerate(rows):
        axis = axes[place // across][place % across]
        share = np.array(row.survivors, dtype=float)  # (layers, kinds, bins); None became NaN
        for kind, name in enumerate(KINDS):
            axis.plot(share[:, kind].mean(0), label=name, color=COLOURS[kind], marker="o", markersize=3, linewidth=1.2)
        axis.set_title(f"{row.policy}, {row.size}", fontsize=8)
        axis.set_ylim(-0.03, 1.03)
        axis.set_xticks(range(len(names)), names, rotation=60, fontsize=6)
        axis.tick_params(axis="y", labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    for place in range(len(rows), across * down):
        axes[place // across][place % across].set_visible(False)
    axes[0][0].set_ylabel("share in memory", fontsize=8)
    axes[0][0].legend(fontsize=7, frameon=False)
    figure.supxlabel("age in steps", fontsize=8)
    figure.suptitle(title, fontsize=9)
    return save_figure(figure, path, policies, dpi=130)


def _pairs(ages: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(pairwise(ages))


def _figure(width: float, height: float, down: int = 0, across: int = 0) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(down, across, squeeze=False) if down else figure.subplots()


def _lengths(values: list[Aggregate]) -> list[list[float]]:
    """Distances to both ends of the intervals; a percentile interval may miss its estimate by rounding."""
    low = [max(0.0, value.value - (value.value if value.low is None else value.low)) for value in values]
    high = [max(0.0, (value.value if value.high is None else value.high) - value.value) for value in values]
    return [low, high]
