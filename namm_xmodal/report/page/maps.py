"""Kept shares of layers and heads, or of kinds and ages, as heat maps."""

from collections.abc import Sequence

from namm_xmodal.evaluation.exhibit import KeptMap
from namm_xmodal.report.figure import Figure
from namm_xmodal.report.heat_map import Panel, Side, draw_panels

MOST_CELLS = 4000
MOST_ACROSS = 4


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
    drawing, values = draw_panels([_panel(each) for each in maps], across, width, height, "share kept")
    where = f"{section}: " if section else ""
    alt = f"{where}{maps[0].title}, by {maps[0].rows} and {maps[0].columns}: {'; '.join(map(_range, maps))}"
    return Figure(name, alt, drawing, values)


def _panel(each: KeptMap) -> Panel:
    row_names = each.row_names or tuple(f"{each.rows} {row}" for row in range(len(each.shares)))
    column_names = each.column_names or tuple(f"{each.columns} {column}" for column in range(len(each.shares[0])))
    words = tuple(
        tuple(
            "" if share is None else f"{each.arm}: {row}, {column}: {share:.1%} kept"
            for column, share in zip(column_names, shares, strict=True)
        )
        for row, shares in zip(row_names, each.shares, strict=True)
    )
    columns = Side(each.columns, each.column_names, turned=60 if each.column_names else 0)
    return Panel(each.arm, Side(each.rows, each.row_names), columns, each.shares, words)


def _range(shown: KeptMap) -> str:
    shares = [share for row in shown.shares for share in row if share is not None]
    least, most = f"{min(shares, default=0):.0%}", f"{max(shares, default=0):.0%}"
    return f"{shown.arm}, {least if least == most else f'from {least} to {most}'} kept"
