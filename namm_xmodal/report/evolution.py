"""A run of evolution as a picture: score of each task, fitness, cache kept, step size and agreement over generations."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from namm_xmodal.evolution.generation import Generation, Spread
from namm_xmodal.report.evolution_table import short_labels
from namm_xmodal.report.picture import save_picture
from namm_xmodal.report.styles import COLOURS

BOTH = (".png", ".svg")
QUIET = 0.2  # agreement below which selection is mostly luck
COLLAPSE = "#D55E00"
RUNNING_MEAN = 9  # generations of a running mean


def plot_evolution(generations: Sequence[Generation], path: Path, title: str = "") -> Path:
    """Draws a run.

    Args:
        generations: At least one, in order.
        path: The picture; its suffix decides the format.
        title: Above the panels.

    Returns:
        `path`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = short_labels(generations)
    panels: list[Callable[[Any], None]] = [
        *(
            partial(_task, label, name, COLOURS[i % len(COLOURS)], generations)
            for i, (label, name) in enumerate(tasks.items())
        ),
        partial(_fitness, generations),
        partial(_kept, generations),
        partial(_sigma, generations),
        partial(_agreement, generations),
    ]
    across = 2 if len(panels) in (2, 4) else 3
    down = math.ceil(len(panels) / across)
    figure = Figure(figsize=(3.9 * across, 2.7 * down + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis, draw in zip(axes, panels, strict=False):
        draw(axis)
        _dress(axis, generations)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11)
    save_picture(figure, path, 150)
    return path


def _task(label: str, name: str, colour: str, generations: Sequence[Generation], axis: Any) -> None:
    having = [generation for generation in generations if label in generation.tasks]
    _band(axis, having, [generation.tasks[label] for generation in having], colour)
    axis.axhline(1, color="0.25", linestyle="--", linewidth=1)
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, 0.95), max(high, 1.05))  # a flat line looks flat
    axis.set_title(name, fontsize=10)
    axis.set_ylabel("score / full cache's", fontsize=9)


def _fitness(generations: Sequence[Generation], axis: Any) -> None:
    _band(axis, generations, [generation.total for generation in generations], "0.2")
    axis.set_title("fitness (score - weight x kept)", fontsize=10)
    axis.legend(fontsize=7, frameon=False, loc="best")


def _kept(generations: Sequence[Generation], axis: Any) -> None:
    x = [generation.generation for generation in generations]
    axis.plot(x, [generation.kept for generation in generations], color=COLOURS[1], label="cache kept", **_style(x))
    weights = [generation.weight for generation in generations]
    axis.plot(x, weights, color="0.45", linestyle="--", linewidth=1.2, label="size weight")
    axis.set_ylim(0, max(1.04, 1.04 * max(weights)))
    if any(generation.collapsed for generation in generations):
        axis.plot([], [], color=COLLAPSE, alpha=0.3, linewidth=6, label="collapsed")
    axis.set_title("cache kept, mean of the population", fontsize=10)
    axis.legend(fontsize=7, frameon=False, loc="best")


def _sigma(generations: Sequence[Generation], axis: Any) -> None:
    x = [generation.generation for generation in generations]
    sigmas = [generation.sigma for generation in generations]
    axis.plot(x, sigmas, color=COLOURS[6], **_style(x))
    axis.set_ylim(0, 1.15 * max(sigmas))
    axis.set_title("step size (sigma)", fontsize=10)


def _agreement(generations: Sequence[Generation], axis: Any) -> None:
    """Single values are noise themselves: dots for them, a line for their running mean."""
    pairs = [(g.generation, g.agreement) for g in generations if g.agreement is not None]
    axis.axhline(QUIET, color="0.25", linestyle="--", linewidth=1, label=f"below {QUIET}: mostly noise")
    axis.set_title("rank agreement of two halves of the samples", fontsize=10)
    axis.set_ylim(-1.05, 1.05)
    if not pairs:
        axis.text(0.5, 0.5, "needs 2 samples per task", transform=axis.transAxes, ha="center", fontsize=8)
        return
    x, values = zip(*pairs, strict=True)
    axis.plot(x, values, linestyle="none", marker="o", markersize=2.5, color=COLOURS[0], alpha=0.5)
    means = [float(np.mean(values[max(0, i - RUNNING_MEAN + 1) : i + 1])) for i in range(len(values))]
    axis.plot(x, means, color=COLOURS[0], linewidth=1.4, label=f"mean of the last {RUNNING_MEAN}")
    axis.legend(fontsize=7, frameon=False, loc="lower right")


def _band(axis: Any, generations: Sequence[Generation], spreads: Sequence[Spread], colour: str) -> None:
    x = [generation.generation for generation in generations]
    worst, best = [spread.worst for spread in spreads], [spread.best for spread in spreads]
    axis.fill_between(x, worst, best, color=colour, alpha=0.18, linewidth=0, label="best to worst member")
    axis.plot(x, [spread.mean for spread in spreads], color=colour, label="mean of the population", **_style(x))


def _style(x: Sequence[int]) -> dict[str, Any]:
    """A line; with markers while it is short, so that a single generation is seen."""
    return {"linewidth": 1.4, "marker": "o" if len(x) < 20 else None, "markersize": 3}


def _dress(axis: Any, generations: Sequence[Generation]) -> None:
    from matplotlib.ticker import MaxNLocator

    first, last = generations[0].generation, generations[-1].generation
    for generation in generations:
        if generation.collapsed:
            axis.axvspan(generation.generation - 0.5, generation.generation + 0.5, color=COLLAPSE, alpha=0.12, lw=0)
    axis.set_xlim(first - 0.5, last + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("generation", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25, linewidth=0.6)
