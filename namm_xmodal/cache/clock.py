"""When a layer updates: blocks of queries between updates, and which batch rows are due at the end of each.

Every row counts its own real tokens, so a left-padded row is pruned at the same tokens as if it were alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.cache.mask import LazyMask
from namm_xmodal.errors import ClockError
from namm_xmodal.types import PruningSchedule, plain


@dataclass(frozen=True)
class RowGroup:
    """Batch rows that have seen the same number of tokens.

    Attributes:
        rows: (n,) int64 batch rows, None for all of them.
        seen: Tokens that each of them has seen.
    """

    rows: Tensor | None
    seen: int


@dataclass(frozen=True)
class Block:
    """Queries [start, stop) of one forward, and the rows that update after them."""

    start: int
    stop: int
    due: tuple[RowGroup, ...]

    @property
    def all_due(self) -> bool:
        """Whether every row updates."""
        return any(group.rows is None for group in self.due)


@dataclass(frozen=True)
class Clock:
    """Decides when to update.

    Attributes:
        every: Update when a row has seen a multiple of this many tokens (`schedule="streaming"`).
        schedule: See `namm_xmodal.types.PruningSchedule`.
    """

    every: int | None
    schedule: PruningSchedule = "streaming"

    def __post_init__(self) -> None:
        """Refuses an interval that is not positive, or a schedule without its interval.

        Raises:
            ClockError: With the value given and what to change.
        """
        object.__setattr__(self, "every", plain(self.every))
        if self.schedule not in ("streaming", "post_prefill"):
            raise ClockError(f"schedule={self.schedule!r}: expected 'streaming' or 'post_prefill'")
        if self.schedule == "streaming" and self.every is None:
            raise ClockError("update_every=None: expected a positive number of tokens, for example 512")
        if self.every is not None and (isinstance(self.every, bool) or not isinstance(self.every, int)):
            raise ClockError(f"update_every={self.every!r}: expected an integer number of tokens, for example 512")
        if self.every is not None and self.every < 1:
            raise ClockError(f"update_every={self.every}: expected a positive number of tokens, for example 512")

    def blocks(self, mask: LazyMask, first: int, length: int, may_evict: Callable[[int], bool]) -> Iterator[Block]:
        """Cuts a forward of `length` queries, the first at index `first`, at every update that could evict.

        Updates that cannot evict anything (`may_evict(seen)` is False) are no reason to cut: one large attention call
        is faster, and bit-identical to the model's own.
        """
        start = 0
        for stop, due in self._ticks(mask, first, length):
            due = tuple(group for group in due if may_evict(group.seen))
            if due:
                yield Block(start, stop, due)
                start = stop
        if start < length:
            yield Block(start, length, ())

    def _ticks(self, mask: LazyMask, first: int, length: int) -> Iterator[tuple[int, tuple[RowGroup, ...]]]:
        """Ends of queries after which some rows are due."""
        if self.schedule == "post_prefill":
            if length > 1:
                yield length, row_groups(mask, first + length)
            return
        assert self.every is not None
        if mask.counts is None:
            for seen in range(first - first % self.every + self.every, first + length + 1, self.every):
                yield seen - first, (RowGroup(None, seen),)
            return
        assert mask.padding is not None
        counts = mask.counts[:, first : first + length]
        due = mask.padding[:, first : first + length].cpu() & (counts % self.every == 0)  # (B, Q)
        for query in due.any(0).nonzero()[:, 0].tolist():
            yield query + 1, tuple(_group(due[:, query].nonzero()[:, 0], counts[:, query], due.shape[0]))

    def next_update(self, seen: int) -> int:
        """The number of seen tokens at which a row that has seen `seen` tokens updates next (`streaming` only)."""
        assert self.every is not None
        return seen - seen % self.every + self.every


def row_groups(mask: LazyMask, stop: int) -> tuple[RowGroup, ...]:
    """All rows, grouped by the number of real tokens they have seen before index `stop`."""
    if mask.counts is None:
        return (RowGroup(None, stop),)
    seen = mask.counts[:, stop - 1] if stop > 0 else torch.zeros(mask.counts.shape[0], dtype=torch.long)
    return tuple(_group(torch.arange(len(seen)), seen, len(seen)))


def _group(rows: Tensor, seen: Tensor, batch: int) -> Iterator[RowGroup]:
    """Groups `rows` by `seen[row]`."""
    for count in seen[rows].unique().tolist():
        members = rows[seen[rows] == count]
        yield RowGroup(None if len(members) == batch else members, int(count))
