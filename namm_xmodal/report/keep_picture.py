"""A picture of what a policy keeps: tokens from left to right, layers and heads from top to bottom."""

from pathlib import Path
from typing import Any

import numpy as np

from namm_xmodal.modalities.language.inspection import KEPT, Inspection
from namm_xmodal.report.picture import save_picture

LABELLED_TOKENS = 100
"""Longer texts get token numbers instead of the tokens themselves."""


def draw_inspection(inspection: Inspection, path: Path) -> None:
    """Draws the share of heads that keep each token, and below it the fate of the token in every head of every layer.

    Args:
        inspection: What to draw.
        path: Image file; the suffix decides the format (png, svg, pdf).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers, heads, count = inspection.evicted_at.shape
    width = min(18.0, max(8.0, 0.14 * count + 3))
    height = min(16.0, max(4.2, 0.09 * layers * heads + 2.6))
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1, max(2.0, 0.08 * layers * heads)])
    _strip(top, inspection)
    image = _fates(bottom, inspection)
    bar = figure.colorbar(image, ax=[top, bottom], ticks=range(len(inspection.updates) + 1), shrink=0.8, pad=0.01)
    bar.ax.set_yticklabels([f"evicted at {seen}" for seen in inspection.updates] + ["kept"], fontsize=8)
    figure.suptitle(f"{_short(inspection.policy)}\nkeeps {inspection.kept_fraction:.1%} of {count} tokens", fontsize=10)
    save_picture(figure, path, 140)


def _strip(axis: Any, inspection: Inspection) -> None:
    share = inspection.kept_by_token
    axis.bar(np.arange(len(share)), share, width=1.0, color="#0072B2")
    axis.set_ylim(0, 1)
    axis.set_ylabel("share of heads\nthat keep it", fontsize=8)
    axis.tick_params(labelsize=8)


def _fates(axis: Any, inspection: Inspection) -> Any:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    layers, heads, count = inspection.evicted_at.shape
    steps = len(inspection.updates)
    # Evicted tokens run from pale (early) to orange (late); what is kept is dark blue, so that it stands out.
    pale = colormaps["YlOrRd"](np.linspace(0.05, 0.55, max(steps, 1)))[:steps]
    colours = ListedColormap([*pale, (0.03, 0.19, 0.42, 1.0)])
    order = np.searchsorted(inspection.updates, inspection.evicted_at)
    order[inspection.evicted_at == KEPT] = steps
    image = axis.imshow(
        order.reshape(layers * heads, count),
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        vmin=-0.5,
        vmax=steps + 0.5,
    )
    for layer in range(1, layers):
        axis.axhline(layer * heads - 0.5, color="white", linewidth=0.4)
    inside = [seen for seen in inspection.updates if seen < count]  # a line at the end would be the frame
    for seen in inside:
        axis.axvline(seen - 0.5, color="0.3", linewidth=0.6, linestyle=":")
    every = max(1, layers // 10)
    shown = range(0, layers, every)
    axis.set_yticks(
        [layer * heads + (heads - 1) / 2 for layer in shown], [f"layer {layer}" for layer in shown], fontsize=8
    )
    axis.set_ylabel(f"layer, {heads} kv head{'s' if heads > 1 else ''} each", fontsize=9)
    if count <= LABELLED_TOKENS:
        axis.set_xticks(range(count), [_visible(token) for token in inspection.tokens], rotation=90, fontsize=6)
    else:
        axis.set_xlabel("token; dotted lines: updates" if inside else "token", fontsize=9)
        axis.tick_params(axis="x", labelsize=8)
    return image


def _visible(token: str) -> str:
    """A token as a label: whitespace made visible, nothing that matplotlib takes for mathematics."""
    return token.replace("\n", "⏎").replace("\t", "⇥").replace("$", r"\$").strip(" ") or "·"


def _short(text: str) -> str:
    return text if len(text) <= 110 else text[:107] + "..."
