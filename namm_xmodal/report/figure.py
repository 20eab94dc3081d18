"""Draws figures as PNG and SVG files, and as SVG inside a page, with values on hover and a dark mode."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from namm_xmodal.report.picture import save_picture

INK, RULE, PAPER = "#1b1c1d", "#c9cacb", "#fefdfc"
"""Colours that a page replaces by its own, light or dark: text and axes, grid, background."""

POLICIES = "Policies"
"""Key of the PNG's text that holds the fingerprints of the policies that it shows."""

LEAST_SCALE = 0.85
"""Of its natural size; on a narrower page a drawing scrolls sideways rather than shrink until nobody can read it."""

SVG = "http://www.w3.org/2000/svg"
SUFFIXES = (".png", ".svg")


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        name: Of its files, without suffix.
        alt: What it shows, as its caption and for those who do not see it.
        drawing: A matplotlib figure.
        values: Group id of a mark to what it stands for, shown on hover and read out on focus.
        labels: Group id of a mark to the arm it belongs to, so that a page can set it off.
        policies: Label to the fingerprints of its sizes; the PNG names them, so that a picture older than its weights
            can be told.
    """

    name: str
    alt: str
    drawing: Any
    values: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def write(self, folder: Path) -> list[Path]:
        """Writes PNG and SVG.

        Returns:
            The files.

        Raises:
            OSError: If the disk refuses.
        """
        written = [folder / f"{self.name}{suffix}" for suffix in SUFFIXES]
        for path in written:
            about = {POLICIES: json.dumps(self.policies)} if path.suffix == ".png" else None
            save_picture(self.drawing, path, metadata=about, facecolor=PAPER)
        return written

    def inline(self) -> str:
        """SVG for a page: text stays text, marks with a value are reachable by keyboard, colours follow the page."""
        from matplotlib import rc_context

        buffer = io.StringIO()
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": self.name}):
            self.drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        ElementTree.register_namespace("", SVG)
        root = ElementTree.fromstring(buffer.getvalue())
        for element in root.iter():
            mark = element.get("id", "")
            if mark in self.values:
                element.set("tabindex", "0")
                element.set("role", "img")
                element.set("aria-label", self.values[mark])
                element.set("data-value", self.values[mark])
            if mark in self.labels:
                element.set("data-arm", self.labels[mark])
            if "id" in element.attrib:  # ids of several figures of a page must not clash
                element.set("id", f"{self.name}-{mark}")
            for key, value in list(element.attrib.items()):
                if "href" in key:  # pages know `href`, not `xlink:href` under another prefix
                    element.attrib.pop(key)
                    element.set("href", re.sub("^#", f"#{self.name}-", value))
                elif "url(" in value:
                    element.set(key, re.sub(r"#(?=[A-Za-z])", f"#{self.name}-", value))
        for each in root.findall(f"{{{SVG}}}metadata"):
            root.remove(each)
        width, height = (float(root.get(side, "0").removesuffix("pt")) for side in ("width", "height"))
        root.attrib.pop("width"), root.attrib.pop("height")
        natural = width * 96 / 72  # in a page's pixels
        root.set(
            "style",
            f"max-width:{natural:.0f}px;min-width:{LEAST_SCALE * natural:.0f}px;aspect-ratio:{width:.0f}/{height:.0f}",
        )
        root.set("role", "group")
        root.set("aria-label", self.alt)
        text = ElementTree.tostring(root, encoding="unicode")
        for colour, name in ((INK, "ink"), (RULE, "rule"), (PAPER, "paper")):
            text = text.replace(colour, f"var(--{name})")
        return text


def blank(width: float, height: float, down: int = 1, across: int = 1, **options: Any) -> tuple[Any, Any]:
    """An empty drawing in the page's colours, and its axes (down, across).

    Args:
        width: In inches.
        height: In inches.
        down: Rows of axes.
        across: Columns of axes.
        **options: Of `Figure.subplots`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.subplots(down, across, squeeze=False, **options)
    for axis in axes.ravel():
        axis.tick_params(colors=INK, labelsize=8)
        axis.set_facecolor("none")
        for spine in axis.spines.values():
            spine.set_color(INK)
        axis.spines[["top", "right"]].set_visible(False)
    return drawing, axes
