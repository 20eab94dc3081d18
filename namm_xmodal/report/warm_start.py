"""Plots a warm start: loss of each task and cache kept over steps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from namm_xmodal.gradient.run import StepRecord
from namm_xmodal.report.picture import save_picture
from namm_xmodal.report.styles import COLOURS

RUNNING_MEAN = 9  # steps of a running mean; single samples scatter


def plot_warm_start(steps: Sequence[StepRecord], path: Path, title: str = "") -> Path:
    """Draws a run of `namm-xmodal warm-start`.

    Args:
        steps: At least one, in order.
        path: The picture; its suffix decides the format.
        title: Above the panels.

    Returns:
        `path`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for i, task in enumerate(steps[0].loss):
        _curve(
            left, [s.step for s in steps], [s.loss.get(task, np.nan) for s in steps], COLOURS[i % len(COLOURS)], task
        )
    left.set_ylabel("loss, nats")
    left.legend(fontsize=7, frameon=False)
    _curve(right, [s.step for s in steps], [s.kept for s in steps], COLOURS[0], "kept")
    right.plot([s.step for s in steps], [s.budget for s in steps], "--", color="0.4", linewidth=1, label="aimed at")
    right.set_ylabel("cache kept after the last update")
    right.set_ylim(0, 1)
    right.legend(fontsize=7, frameon=False)
    for axis in (left, right):
        axis.set_xlabel("step")
        axis.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11)
    save_picture(figure, path, 150)
    return path


def _curve(axis: Any, steps: list[int], values: list[float], colour: str, label: str) -> None:
    """Single values pale, their running mean strong."""
    axis.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
    mean = [
        float(np.mean(values[max(0, i - RUNNING_MEAN // 2) : i + RUNNING_MEAN // 2 + 1])) for i in range(len(values))
    ]
    axis.plot(steps, mean, color=colour, linewidth=1.6, label=label)
