"""Tables for narrow terminals: columns that do not fit go into further tables."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.measure import Measurement
from rich.table import Table

from namm_xmodal.trust.terminal import PlainConsole

LONGEST_LABEL = 28
"""Longer labels of policies are folded."""

Column = TypeVar("Column")


def fitted(make: Callable[[Sequence[Column]], Table], columns: Sequence[Column], width: int) -> list[Table]:
    """As few tables as `width` allows; each has at least one of the columns, in order.

    Args:
        make: Makes a table of some of the columns, with what every table begins with: `add_labels`.
        columns: All of them.
        width: Characters of the terminal.
    """
    endless = PlainConsole(width=10_000)
    tables: list[Table] = []
    left = list(columns)
    while left:
        count, table = 1, make(left[:1])
        while count < len(left):
            wider = make(left[: count + 1])
            if Measurement.get(endless, endless.options, wider).maximum > width:
                break
            count, table = count + 1, wider
        tables.append(table)
        left = left[count:]
    return tables


def add_labels(table: Table, size: str) -> None:
    """Adds the columns that every table of results begins with: the policy, folded where room is short, and its size.

    Args:
        table: Without columns yet.
        size: Heading of the second column.
    """
    table.add_column("policy", max_width=LONGEST_LABEL, overflow="fold")
    table.add_column(size, justify="right", no_wrap=True)
