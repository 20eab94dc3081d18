"""Kept shares of layers and heads as a heat map."""

from collections.abc import Sequence

from namm_xmodal.evaluation.exhibit import KeptMap
from namm_xmodal.report.figure import INK, Figure, blank

MOST_CELLS = 4000


def draw_maps(name: str, maps: Sequence[KeptMap]) -> Figure | None:
    """One panel for each arm, on one scale.

    Args:
        name: Of the figure's files.
        maps: Of one section; those of the same title belong together.
    """
    maps = [each for each in maps if each.shares and len(each.shares) * len(each.shares[0]) <= MOST_CELLS]
    if not maps:
        return None
    rows, columns = len(maps[0].shares), len(maps[0].shares[0])
    height = min(7.0, max(1.8, 0.16 * rows + 0.9))
    width = min(5.0, max(1.9, 0.2 * columns + 1.2))
    drawing, axes = blank(width * len(maps) + 0.8, height, 1, len(maps), sharey=True)
    values = {}
    mesh = None
    for place, (axis, each) in enumerate(zip(axes[0], maps, strict=True)):
        for row, shares in enumerate(each.shares):
            for column, share in enumerate(shares):
                mesh = axis.pcolormesh(
                    [column - 0.5, column + 0.5], [row - 0.5, row + 0.5], [[share]], cmap="viridis", vmin=0, vmax=1
                )
                mark = f"cell-{place}-{row}-{column}"
                mesh.set_gid(mark)
                values[mark] = f"{each.arm}: {each.rows} {row}, {each.columns} {column}: {share:.1%} kept"
        axis.set_title(each.arm, fontsize=8, color=INK)
        axis.set_xlabel(each.columns, fontsize=8, color=INK)
        axis.invert_yaxis()
    axes[0][0].set_ylabel(maps[0].rows, fontsize=8, color=INK)
    if mesh is not None:
        bar = drawing.colorbar(mesh, ax=list(axes[0]), shrink=0.8, pad=0.02)
        bar.ax.tick_params(colors=INK, labelsize=7)
        bar.set_label("share kept", fontsize=8, color=INK)
    alt = f"{maps[0].title}: share kept by {maps[0].rows} and {maps[0].columns} of " + "; ".join(
        f"{each.arm}, from {min(map(min, each.shares)):.0%} to {max(map(max, each.shares)):.0%}" for each in maps
    )
    return Figure(name, maps[0].title, alt, drawing, values)
