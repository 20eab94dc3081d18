"""Passes attention rows to the policy, for the queries that it reads, grouped by batch rows at the same position."""

from collections.abc import Iterator

import torch
from torch import Tensor

from namm_xmodal.cache.clock import Block, RowGroup, row_groups
from namm_xmodal.cache.lane import Lane
from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.mask import LazyMask
from namm_xmodal.cache.rows import AttentionTile
from namm_xmodal.cache.stopwatch import timed
from namm_xmodal.policies.protocol import ALL_ROWS, Tile
from namm_xmodal.policies.state import State


class Observer:
    """Feeds one block's queries to the policy of a layer."""

    def __init__(self, layer: PrunedLayer, mask: LazyMask, first: int, block: Block, length: int) -> None:
        """Works out which queries the policy wants.

        Args:
            layer: The layer, the block's tokens appended.
            mask: The forward's mask, for padding.
            first: Index of the forward's first query.
            block: The block.
            length: Queries of the whole forward (`post_prefill` counts back from its end).
        """
        policy = layer.settings.policy
        self.layer, self.mask, self.policy = layer, mask, policy
        self.start, self.stop = first + block.start, first + block.stop  # indices of the block
        self.reads = None if policy is None else policy.reads
        self.groups: tuple[RowGroup, ...] = ()
        if self.reads is None or not self.reads.anything:
            return
        self.groups = row_groups(mask, self.start)
        wanted = max(self.reads.rows, self.reads.queries)
        if self.reads.rows == ALL_ROWS:
            self.begin = 0
        elif layer.settings.clock.schedule == "post_prefill":
            self.begin = max(0, length - wanted - block.start)
        else:  # a block ends at the next update of some row at the latest; other rows may still be far from theirs
            self.begin = min(self._wanted_from(group, wanted) for group in self.groups)

    @property
    def reads_rows(self) -> bool:
        """Whether the policy reads attention rows, and not queries alone."""
        return self.reads is not None and self.reads.rows != 0

    @property
    def reads_all_rows(self) -> bool:
        """Whether every attention row of the block is wanted, so that output and rows can share one softmax."""
        return self.reads is not None and self.reads.rows == ALL_ROWS

    def wants_anything(self, queries: int) -> bool:
        """Whether the policy wants something of a block of `queries` queries."""
        return self.reads is not None and self.reads.anything and self.begin < queries

    def watch(self, lane: Lane, query: Tensor, tiles: Iterator[AttentionTile]) -> None:
        """Shows the attention rows of a lane's heads to the policy.

        Args:
            lane: The heads.
            query: (B, hq, Q, D) their queries of the block.
            tiles: Their attention rows, from query `begin` on.
        """
        for tile in tiles:
            self.see(lane.state, tile.start, tile.rows, query)

    @torch.no_grad()
    def see(self, state: State | None, start: int, rows: Tensor | None, query: Tensor) -> None:
        """Gives a tile to the policy, once for each group of batch rows.

        Args:
            state: The policy's buffers.
            start: First query of the tile within the block.
            rows: (B, H, Q, V) attention of the tile, or None to hand over queries only (all from `start` on).
            query: (B, Hq, block, D) queries of the block.
        """
        assert self.reads is not None and self.policy is not None and state is not None
        stop = query.shape[2] if rows is None else start + rows.shape[2]
        queries = query[:, :, start:stop] if self.reads.queries else None
        padding = None if self.mask.padding is None else self.mask.padding[:, self.start + start : self.start + stop]
        for group in row_groups(self.mask, self.start + start) if padding is not None else self.groups:
            if padding is None:
                first = group.seen + start
                with timed("features"):
                    self.policy.observe(state, Tile(first, rows, queries))
                continue
            members = torch.arange(padding.shape[0]) if group.rows is None else group.rows
            for pattern, same in _by_pattern(padding, members.to(padding.device)):
                if not bool(pattern.any()):
                    continue
                everyone = len(same) == padding.shape[0]
                real = None if bool(pattern.all()) else pattern.nonzero()[:, 0]
                part = state if everyone else state.part(same)
                with timed("features"):
                    self.policy.observe(
                        part,
                        Tile(group.seen, _pick(rows, same, real, everyone), _pick(queries, same, real, everyone)),
                    )
                if not everyone:
                    state.write_back(part, same)

    def _wanted_from(self, group: RowGroup, wanted: int) -> int:
        """First query of the block that lies within `wanted` tokens of the group's next update."""
        update = self.layer.settings.clock.next_update(group.seen)
        return max(0, update - wanted - group.seen)


def _by_pattern(padding: Tensor, members: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Splits batch rows by which queries of the tile are real: [((Q,) bool, rows)]."""
    patterns, which = padding[members].unique(dim=0, return_inverse=True)
    return [(pattern, members[which == i]) for i, pattern in enumerate(patterns)]


def _pick(tensor: Tensor | None, rows: Tensor, queries: Tensor | None, everyone: bool) -> Tensor | None:
    """Selects batch rows and queries of a (B, H, Q, ...) tensor."""
    if tensor is None:
        return None
    tensor = tensor if everyone else tensor[rows]
    return tensor if queries is None else tensor[:, :, queries]
