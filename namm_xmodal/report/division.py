"""Plots how a budget is divided among heads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.report.picture import save_picture
from namm_xmodal.report.styles import COLOURS


def plot_division(shares: HeadShares, losses: Sequence[float], path: Path, title: str) -> Path:
    """Every head's share, layer by layer, beside the loss of the steps that found them.

    Args:
        shares: Of one model.
        losses: Of each step, nats; none if no steps found them.
        path: The picture; its suffix decides the format.
        title: Above it.

    Returns:
        `path`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    weights = np.array(shares.weights).T  # (H, L)
    figure = Figure(figsize=(9.2, 2.2 + 0.12 * min(len(weights), 16)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if losses else 1, width_ratios=[2, 1] if losses else None, squeeze=False)[0]
    left = axes[0]
    picture = left.imshow(weights, aspect="auto", cmap="viridis", vmin=0, interpolation="nearest")
    left.set_xlabel("layer")
    left.set_ylabel("kv head")
    left.set_yticks(range(len(weights)) if len(weights) <= 8 else [0, len(weights) - 1])
    figure.colorbar(picture, ax=left, label="share, even = 1")
    if losses:
        right = axes[1]
        right.plot(range(1, len(losses) + 1), losses, color=COLOURS[0], linewidth=1.2)
        right.set_yscale("log")
        right.set_xlabel("step")
        right.set_ylabel("nats to the full cache")
        right.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}: what each head gets of a budget", fontsize=11)
    save_picture(figure, path, 150)
    return path
