"""Frames with evicted patches dimmed: a contact sheet of all policies, and a film of them side by side."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.disk.own_files import software
from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.extras import need
from namm_xmodal.modalities.video.dimming import dim
from namm_xmodal.modalities.video.inspection import VideoInspection
from namm_xmodal.report.picture import save_picture

_CAPTION = 44
"""Height of the line of text over each picture of the film, in pixels."""


def contact_sheet(
    frames: NDArray[np.uint8],
    inspections: Sequence[VideoInspection],
    question: str,
    path: Path,
    layer: int | None = None,
    columns: int = 12,
) -> None:
    """Draws frames from left to right and policies from top to bottom, with the likelihood of the answers.

    Args:
        frames: (F, height, width, 3).
        inspections: One per policy.
        question: For the title.
        path: Image file.
        layer: Of one layer; averaged over all if None.
        columns: Most frames shown; evenly chosen among more.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = np.unique(np.linspace(0, len(frames) - 1, min(columns, len(frames))).round().astype(int))
    down = len(inspections)
    figure = Figure(figsize=(1.15 * len(shown) + 3.4, 1.3 * down + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, len(shown) + 1, squeeze=False, width_ratios=[*([1.0] * len(shown)), 2.2])
    for row, inspection in zip(axes, inspections, strict=True):
        share = inspection.share(layer)
        for axis, number in zip(row, shown, strict=False):
            axis.imshow(dim(frames[number], share[number]), interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if row is axes[0]:
                axis.set_title(f"{number}", fontsize=8)
        row[0].set_ylabel(f"{inspection.policy}\nkeeps {share.mean():.0%}", fontsize=8)
        _bars(row[-1], inspection)
    where = "all layers" if layer is None else f"layer {layer}"
    figure.suptitle(f"{question}   (brightness: share of heads of {where} that still hold a patch)", fontsize=10)
    save_picture(figure, path, 130)


def _bars(axis: Any, inspection: VideoInspection) -> None:
    options = list(inspection.probabilities)[::-1]
    values = [inspection.probabilities[option] for option in options]
    best = max(values)
    axis.barh(options, values, color=["#0072B2" if value == best else "#9ecae1" for value in values])
    axis.set_xlim(0, 1)
    axis.tick_params(labelsize=7)
    axis.yaxis.tick_right()


def film(
    frames: NDArray[np.uint8],
    inspections: Sequence[VideoInspection],
    path: Path,
    layer: int | None = None,
    rate: float = 4.0,
) -> None:
    """Writes an MP4 with one picture per policy side by side.

    Args:
        frames: (F, height, width, 3).
        inspections: One per policy.
        path: The file.
        layer: Of one layer; averaged over all if None.
        rate: Frames per second.
    """
    av = need("av", "an MP4 of what is kept")
    need("PIL", "an MP4 of what is kept")
    from PIL import Image

    side = 240 if len(inspections) > 2 else 320
    height = round(frames.shape[1] * side / frames.shape[2] / 2) * 2
    shares = [inspection.share(layer) for inspection in inspections]
    captions = [_caption(inspection, side) for inspection in inspections]
    with replacing(path) as fresh, av.open(str(fresh), "w") as container:
        container.metadata["comment"] = software()
        stream: Any = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.width, stream.height = side * len(inspections), height + _CAPTION
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18"}
        for number, frame in enumerate(frames):
            tiles = []
            for share, caption in zip(shares, captions, strict=True):
                large = np.asarray(Image.fromarray(frame).resize((side, height), Image.Resampling.NEAREST))
                tiles.append(np.concatenate([caption, dim(large, share[number])]))
            picture = av.VideoFrame.from_ndarray(np.concatenate(tiles, axis=1), format="rgb24")
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _caption(inspection: VideoInspection, width: int) -> NDArray[np.uint8]:
    """(height, width, 3): the policy, what it keeps and what it answers."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (width, _CAPTION), (20, 20, 20))
    best = max(inspection.probabilities, key=lambda option: inspection.probabilities[option])
    lines = f"{inspection.policy}: keeps {inspection.kept.mean():.0%}\n{best} ({inspection.probabilities[best]:.2f})"
    ImageDraw.Draw(picture).multiline_text((8, 6), lines, fill=(235, 235, 235))
    return np.asarray(picture)
