"""Kept shares of layers and heads, or of kinds and ages, as heat maps."""

import math
from collections.abc import Sequence

from namm_xmodal.evaluation.exhibit import KeptMap
from namm_xmodal.report.figure import INK, Figure, blank

MOST_CELLS = 4000
MOST_ACROSS = 4
MOST_TICKS = 10


def draw_maps(name: str, maps: Sequence[KeptMap], section: str = "") -> Figure | None:
    """One panel for each arm, on one scale.

    Args:
        name: Of the figure's files.
        maps: Of one section and one kind.
        section: Its name, for the caption.
    """
    maps = [each for each in maps if each.shares and len(each.shares) * len(each.shares[0]) <= MOST_CELLS]
    if not maps:
        return None
    rows, columns = len(maps[0].shares), len(maps[0].shares[0])
    height = min(7.0, max(1.8, 0.16 * rows + 0.9))
    width = min(5.0, max(1.9, 0.2 * columns + 1.2))
    across = min(len(maps), MOST_ACROSS)
    down = math.ceil(len(maps) / across)
    drawing, axes = blank(width * across + 0.8, height * down, down, across, sharex=True, sharey=True)
    values: dict[str, str] = {}
    mesh = None
    for place, each in enumerate(maps):
        axis = axes[place // across][place % across]
        row_names = each.row_names or tuple(f"{each.rows} {row}" for row in range(rows))
        column_names = each.column_names or tuple(f"{each.columns} {column}" for column in range(columns))
        for row, shares in enumerate(each.shares):
            for column, share in enumerate(shares):
                if share is None:
                    continue
                mesh = axis.pcolormesh(
                    [column - 0.5, column + 0.5], [row - 0.5, row + 0.5], [[share]], cmap="viridis", vmin=0, vmax=1
                )
                mark = f"cell-{place}-{row}-{column}"
                mesh.set_gid(mark)
                values[mark] = f"{each.arm}: {row_names[row]}, {column_names[column]}: {share:.1%} kept"
        axis.set_title(each.arm, fontsize=8, color=INK)
        if place + across >= len(maps):  # nothing below
            axis.set_xlabel(each.columns, fontsize=8, color=INK)
            axis.tick_params(labelbottom=True)
        if each.column_names:
            axis.set_xticks(range(columns), each.column_names, rotation=60)
        else:
            axis.set_xticks(_ticks(columns))
        if each.row_names:
            axis.set_yticks(range(rows), each.row_names)
        else:
            axis.set_yticks(_ticks(rows))
    axes[0][0].invert_yaxis()
    for place in range(len(maps), across * down):
        axes[place // across][place % across].set_visible(False)
    for line in axes:
        line[0].set_ylabel(maps[0].rows, fontsize=8, color=INK)
    if mesh is not None:
        bar = drawing.colorbar(mesh, ax=list(axes.ravel()), shrink=0.8, pad=0.02)
        bar.ax.tick_params(colors=INK, labelsize=7)
        bar.set_label("share kept", fontsize=8, color=INK)
    where = f"{section}: " if section else ""
    alt = f"{where}{maps[0].title}, by {maps[0].rows} and {maps[0].columns}: {'; '.join(map(_range, maps))}"
    return Figure(name, alt, drawing, values)


def _ticks(count: int) -> range:
    """Numbers of layers, heads or frames: whole ones, few enough to be read."""
    return range(0, count, math.ceil(count / MOST_TICKS))


def _range(shown: KeptMap) -> str:
    shares = [share for row in shown.shares for share in row if share is not None]
    least, most = f"{min(shares, default=0):.0%}", f"{max(shares, default=0):.0%}"
    return f"{shown.arm}, {least if least == most else f'from {least} to {most}'} kept"
