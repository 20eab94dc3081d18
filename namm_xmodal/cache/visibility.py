"""Which slots each query of a block may look at: nothing to say, causal order, or a mask per row and head."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from namm_xmodal.cache.lane import Lane
from namm_xmodal.cache.mask import LazyMask


@dataclass(frozen=True)
class Visibility:
    """Masks of one block of Q queries, the last Q slots being the block's own tokens.

    Attributes:
        queries: Q.
        slots: S.
        live: (B, H, S) bool, or None if every slot holds a token.
        general: (B, 1 or H, Q, S) bool for windows, padding and overlays; None if causal order and `live` say it all.
        dense: The mask transformers itself would use, for a block that is a whole forward on an untouched cache.
        use_dense: Whether `dense` applies (it may be None, which means plain causal).
        heads: H.
        bidirectional: A query may look at slots newer than its own (block overlays of some vision-language models).
    """

    queries: int
    slots: int
    live: Tensor | None
    general: Tensor | None
    dense: Tensor | None
    use_dense: bool
    heads: int
    bidirectional: bool

    @classmethod
    def of(cls, lane: Lane, mask: LazyMask, start: int, stop: int, *, untouched: bool) -> "Visibility":
        """For queries [start, stop) of the running forward, whose tokens are already appended to `lane`.

        Args:
            lane: The heads that these queries attend to.
            mask: The forward's mask.
            start: First query.
            stop: One past the last.
            untouched: Nothing was evicted from the layer yet.
        """
        whole = untouched and start == 0 and stop == mask.q_length
        general = None
        if not mask.plain:
            index = lane.index[:, :1] if untouched else lane.index
            if untouched and mask.padding is not None:
                # Padding is dead in the index; evaluate the mask on the true indices, as transformers does.
                index = torch.arange(lane.slots, device=index.device).expand(index.shape[0], 1, -1)
            general = mask.on(index, start, stop)
        live = None if untouched or (mask.plain and not lane.has_dead) else lane.live
        return cls(
            queries=stop - start,
            slots=lane.slots,
            live=live if mask.plain else None,
            general=general,
            dense=mask.dense if whole else None,
            use_dense=whole,
            heads=len(lane.heads),
            bidirectional=mask.elementwise,
        )

    def for_sdpa(self, groups: int, device: torch.device) -> Tensor | None:
        """(B, 1 or Hq, Q, S) bool mask for transformers' sdpa, None where it may be left out.

        None with Q > 1 means causal from the first slot on: sdpa cuts longer keys off, so it is returned only if Q == S.
        """
        if self.use_dense:
            return None if self.dense is None else self.dense.to(device)
        if self.general is not None:
            return _per_query_head(self.general, groups)
        if self.live is None:
            if self.queries in (1, self.slots):
                return None
            return self.causal(0, self.queries, self.slots, device)[None, None]
        visible = self.live[:, :, None]
        if self.queries > 1:
            visible = visible & self.causal(0, self.queries, self.slots, device)
        return _per_query_head(visible, groups)

    def reach(self, stop: int) -> int:
        """Slots that queries before `stop` can see at most: later ones are newer than all of them."""
        return self.slots if self.bidirectional else self.slots - (self.queries - stop)

    @property
    def may_be_blind(self) -> bool:
        """Whether some query may see no slot at all (a padded one)."""
        return self.general is not None or self.live is not None

    def hide(self, logits: Tensor, heads: slice, start: int, stop: int) -> None:
        """Sets what queries [start, stop) may not see to minus infinity, in place.

        Args:
            logits: (n, G, Q, V) of the n (row, kv head) pairs that `heads` selects out of B * H, over the first
                V = `reach(stop)` slots.
            heads: Pairs of batch row and kv head, row-major.
            start: First query of the tile.
            stop: One past the last.
        """
        reach = logits.shape[-1]
        if self.general is not None:
            hidden = ~self._flat_general[heads, start:stop, :reach]
            logits.masked_fill_(hidden[:, None], -math.inf)
            return
        if self.live is not None:
            logits.masked_fill_(~self.live.flatten(0, 1)[heads, None, None, :reach], -math.inf)
        width = stop - start
        if width > 1:  # only the last columns are newer than some query of the tile
            newer = torch.full((width, width), -math.inf, dtype=logits.dtype, device=logits.device).triu_(1)
            logits[..., reach - width :].add_(newer)

    @cached_property
    def _flat_general(self) -> Tensor:
        """(B * H, Q, S) view or copy of `general`."""
        assert self.general is not None
        batch, shared = self.general.shape[:2]
        return self.general.expand(batch, max(shared, self.heads), -1, -1).flatten(0, 1)

    def causal(self, start: int, stop: int, reach: int, device: torch.device) -> Tensor:
        """(Q, V) bool: slots no newer than the query."""
        first = start + self.slots - self.queries
        return _no_newer(first, stop - start, reach, device, torch.is_inference_mode_enabled())


@lru_cache(maxsize=2)  # the layers of a forward mostly ask for the same one
def _no_newer(first: int, count: int, reach: int, device: torch.device, inference: bool) -> Tensor:
    """(count, reach) bool: slots up to `first` for the first query, one more for each that follows.

    `inference` keeps tensors made in inference mode, which autograd refuses, apart from others.
    """
    own = torch.arange(first, first + count, device=device)[:, None]
    return torch.arange(reach, device=device)[None] <= own


def _per_query_head(mask: Tensor, groups: int) -> Tensor:
    """(B, H, Q, S) -> (B, Hq, Q, S); masks shared by all heads stay (B, 1, Q, S)."""
    return mask.repeat_interleave(groups, dim=1) if mask.shape[1] > 1 and groups > 1 else mask
