"""Panels of coloured cells on one scale from 0 to 1, with words on hover."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from namm_xmodal.report.figure import INK, blank

MOST_TICKS = 10
_DARK = 0.6  # values below it are dark in the colour map, so that numbers on them are white


@dataclass(frozen=True)
class Side:
    """Rows or columns.

    Attributes:
        name: What they are.
        names: Of each; numbers from 0 if empty.
        turned: Degrees that the names are turned by.
    """

    name: str
    names: tuple[str, ...] = ()
    turned: int = 0

    def ticks(self, count: int) -> tuple[list[int], list[str]]:
        """Places and words: all names, or whole numbers that are few enough to be read."""
        if self.names:
            return list(range(count)), list(self.names)
        places = list(range(0, count, math.ceil(count / MOST_TICKS)))
        return places, [str(place) for place in places]


@dataclass(frozen=True)
class Panel:
    """One grid.

    Attributes:
        title: Above it.
        rows: From top to bottom.
        columns: From left to right.
        cells: Values between 0 and 1 by row and column; None leaves a cell empty.
        words: What each cell says on hover.
    """

    title: str
    rows: Side
    columns: Side
    cells: tuple[tuple[float | None, ...], ...]
    words: tuple[tuple[str, ...], ...]


def draw_panels(
    panels: Sequence[Panel | None],
    across: int,
    width: float,
    height: float,
    bar: str,
    *,
    numbers: bool = False,
) -> tuple[Any, dict[str, str]]:
    """Draws panels line by line; all have the same rows and columns.

    Args:
        panels: At least one; None leaves a place free.
        across: Panels in a line.
        width: Of a panel, in inches.
        height: Of a panel, in inches.
        bar: What the colours mean.
        numbers: Whether each cell shows its value.

    Returns:
        The drawing, and group id of each cell to its words.
    """
    down = math.ceil(len(panels) / across)
    drawing, axes = blank(width * across + 0.8, height * down, down, across, sharex=True, sharey=True)
    values: dict[str, str] = {}
    mesh = None
    places = [*panels, *[None] * (across * down - len(panels))]
    for place, panel in enumerate(places):
        axis = axes[place // across][place % across]
        if panel is None:
            axis.set_visible(False)
            continue
        for row, cells in enumerate(panel.cells):
            for column, cell in enumerate(cells):
                if cell is None:
                    continue
                mesh = axis.pcolormesh(
                    [column - 0.5, column + 0.5], [row - 0.5, row + 0.5], [[cell]], cmap="viridis", vmin=0, vmax=1
                )
                mark = f"cell-{place}-{row}-{column}"
                mesh.set_gid(mark)
                values[mark] = panel.words[row][column]
                if numbers:
                    colour = "white" if cell < _DARK else "black"
                    axis.text(column, row, f"{cell:.2f}", ha="center", va="center", fontsize=6.5, color=colour)
        axis.set_title(panel.title, fontsize=8, color=INK)
        axis.set_xticks(*panel.columns.ticks(len(panel.cells[0])), rotation=panel.columns.turned)
        axis.set_yticks(*panel.rows.ticks(len(panel.cells)))
        if place + across >= len(places) or places[place + across] is None:  # nothing below
            axis.set_xlabel(panel.columns.name, fontsize=8, color=INK)
            axis.tick_params(labelbottom=True)
        if place % across == 0:
            axis.set_ylabel(panel.rows.name, fontsize=8, color=INK)
    axes[0][0].invert_yaxis()
    if mesh is not None:
        scale = drawing.colorbar(
            mesh, ax=list(axes.ravel()), shrink={1: 1.0, 2: 0.8, 3: 0.8}.get(down, 3 / down), pad=0.02
        )
        scale.ax.tick_params(colors=INK, labelsize=7)
        scale.set_label(bar, fontsize=8, color=INK)
    return drawing, values
