"""Accuracy against the share of visual tokens kept: overall, and by place of the evidence or duration."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from namm_xmodal.report.picture import save_figure
from namm_xmodal.report.plot import COLOURS, MARKERS
from namm_xmodal.report.video_summary import VideoRow


def plot_videos(rows: Sequence[VideoRow], path: Path, title: str, policies: Mapping[str, Sequence[str]]) -> list[Path]:
    """Draws the plot as PNG and SVG.

    Args:
        rows: What to draw.
        path: Without suffix.
        title: Above the panels.
        policies: Fingerprints of the policies by label, for the metadata of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    grouping = next((name for name in ("duration", "kind") if any(len(row.apart[name]) > 1 for row in rows)), None)
    groups = [] if grouping is None else list(dict.fromkeys(each for row in rows for each in row.apart[grouping]))[:5]
    panels = 1 + len(groups)
    across = min(3, panels)
    down = -(-panels // across)
    figure = Figure(figsize=(3.6 * across + 2.8, 3.1 * down + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    labels = list(dict.fromkeys(row.policy for row in rows if row.protocol != "none"))
    styles = {label: (COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]) for at, label in enumerate(labels)}
    _overall(axes[0], rows, styles)
    for axis, group in zip(axes[1:], groups, strict=False):
        assert grouping is not None
        _group(axis, rows, styles, grouping, group)
    for axis in axes[panels:]:
        axis.set_visible(False)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper", fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=11)
    return save_figure(figure, path, policies)


def _lines(rows: Sequence[VideoRow]) -> dict[tuple[str, str], list[VideoRow]]:
    found: dict[tuple[str, str], list[VideoRow]] = {}
    for row in rows:
        if row.protocol != "none" and row.accuracy is not None:
            found.setdefault((row.policy, row.protocol), []).append(row)
    return {key: sorted(line, key=lambda row: row.kept) for key, line in found.items()}


def _overall(axis: Any, rows: Sequence[VideoRow], styles: dict[str, tuple[str, str]]) -> None:
    for row in rows:
        if row.protocol == "none" and row.accuracy is not None:
            axis.axhline(
                row.accuracy.mean, color="0.25", linestyle="--", linewidth=1.2, label=f"{row.policy} (all kept)"
            )
    several = len({row.protocol for row in rows} - {"none", "before"}) > 1
    for (policy, protocol), line in _lines(rows).items():
        colour, marker = styles[policy]
        means = [row.accuracy.mean for row in line if row.accuracy]
        ends = [(row.accuracy.low, row.accuracy.high) for row in line if row.accuracy]
        lengths = [
            [max(0.0, mean - (mean if low is None else low)) for mean, (low, _) in zip(means, ends, strict=True)],
            [max(0.0, (mean if high is None else high) - mean) for mean, (_, high) in zip(means, ends, strict=True)],
        ]
        axis.errorbar(
            [100 * row.kept for row in line],
            means,
            yerr=lengths,
            label=f"{policy} · {protocol}" if several and protocol != "before" else policy,
            linestyle={"clock": "-", "prompt_end": ":", "before": "--"}[protocol],
            color=colour,
            marker=marker,
            linewidth=1.3,
            markersize=4.5,
            elinewidth=0.8,
            capsize=2,
            alpha=0.9,
        )
    count = max((row.accuracy.n for row in rows if row.accuracy), default=0)
    _dress(axis, f"all questions, n = {count}")


def _group(axis: Any, rows: Sequence[VideoRow], styles: dict[str, tuple[str, str]], grouping: str, group: str) -> None:
    count = 0
    for row in rows:
        if row.protocol == "none" and group in row.apart[grouping]:
            axis.axhline(row.apart[grouping][group][0], color="0.25", linestyle="--", linewidth=1.2)
            count = row.apart[grouping][group][1]
    for (policy, protocol), line in _lines(rows).items():
        held = [row for row in line if group in row.apart[grouping]]
        axis.plot(
            [100 * row.kept for row in held],
            [row.apart[grouping][group][0] for row in held],
            linestyle={"clock": "-", "prompt_end": ":", "before": "--"}[protocol],
            color=styles[policy][0],
            marker=styles[policy][1],
            linewidth=1.1,
            markersize=4,
            alpha=0.9,
        )
    _dress(axis, f"{group}, n = {count}")


def _dress(axis: Any, title: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("visual tokens kept when answering (%)", fontsize=9)
    axis.set_ylabel("accuracy", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25, linewidth=0.6)
