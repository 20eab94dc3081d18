"""One layer of a pruned cache, as transformers and attention see it: lanes of kv heads, ragged over rows and heads."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin

from namm_xmodal.cache.handover import Handover
from namm_xmodal.cache.lane import SPARE_SLOTS, Lane, by_lane, from_lanes, merged
from namm_xmodal.cache.pending import PENDING, hand_over, not_attended
from namm_xmodal.cache.settings import Settings
from namm_xmodal.errors import UnsupportedOperationError
from namm_xmodal.policies.protocol import Reads, Rotary
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


class PrunedLayer(CacheLayerMixin):  # type: ignore[misc]
    """Keys and values of one layer, of which each (row, kv head) keeps its own tokens.

    `get_seq_length` and `get_mask_sizes` speak of tokens *seen*, as in a cache that never forgets, so that position
    ids, padding masks and `generate` stay right whatever was evicted.

    Attributes:
        seen: Indices seen so far, padding included.
        tokens_seen: Real tokens that each batch row has seen.
        untouched: Nothing was evicted yet. A flag, not `S == seen`: one head may keep everything while others evict.
        lanes: Where the tokens are: one lane as long as heads keep about as many, several from an update on that left
            them uneven.
        midway: Of the first layer: a forward began that has not come to its end.
        incoming: (B, H, n, D) keys and values of the running forward, which attention appends block by block.
        handover: What the layers that share its keys and values need to know of the running forward.
        chooser: The earlier layer that chooses for this one; None for a layer that is on its own, as most are.
        chosen: (B, n) bool, which tokens of the first forward this layer chose for later ones; None for all.
    """

    is_sliding = False
    is_compileable = False
    is_croppable = False
    supports_early_init = False

    def __init__(
        self,
        settings: Settings,
        layer: int,
        num_layers: int,
        rotary: Rotary | None = None,
        window: int | None = None,
        readers: int = 0,
    ) -> None:
        """Makes an empty layer; sizes are learnt from the first keys.

        Args:
            settings: How to prune.
            layer: Its index.
            num_layers: Attention layers of the model.
            rotary: Its rotary embedding, for policies that turn queries (None for models without).
            window: Tokens that transformers' own cache would keep of this layer, None for all.
            readers: Later layers that attend to its keys and values instead of their own.
        """
        # Not the base's: it would set keys and values, which are read from the lanes.
        self.settings = settings
        self.layer, self.num_layers = layer, num_layers
        self.rotary, self.window, self.readers = rotary, window, readers
        self.chooser: PrunedLayer | None = None
        self._clear()

    def _clear(self) -> None:
        self.lanes: list[Lane] = []
        self.incoming: tuple[Tensor, Tensor] | None = None
        self.handover: Handover | None = None
        self.shape: LayerShape | None = None
        self.seen = 0
        self.tokens_seen: tuple[int, ...] = ()
        self.untouched = True
        self.midway = False
        self.chosen: Tensor | None = None
        self.is_initialized = False

    # ------------------------------------------------------------------ what transformers calls
    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Takes sizes, dtype and device from the first (B, H, n, D) keys and values."""
        self.dtype, self.device = key_states.dtype, key_states.device
        batch, heads = key_states.shape[:2]
        store = [
            key_states.new_empty(batch, heads, 0, key_states.shape[-1]),
            value_states.new_empty(batch, heads, 0, value_states.shape[-1]),
            torch.empty(batch, heads, 0, dtype=torch.int32, device=self.device),
        ]
        self.lanes = [Lane(range(heads), store, None, False)]
        self.is_initialized = True

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Stores new keys and values for the attention call that follows; returns them unchanged.

        Raises:
            UnsupportedOperationError: Outside the model's block, or if the layer before was not attended to.
        """
        if self.settings.switch is not None:
            self.settings.switch.require_on()
        before = PENDING.get()
        if before is not None and self.layer > 0:  # what a failed forward left behind ends at the first layer
            raise not_attended(before)
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.incoming = (key_states, value_states)
        if self.readers:
            self.handover = Handover(self.lanes, self.incoming, self.seen, self.readers)
            hand_over(self)
        self.seen += key_states.shape[-2]
        PENDING.set(self)
        return key_states, value_states

    def get_seq_length(self) -> int:
        """Tokens seen, padding included."""
        return self.seen

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Logical key length and offset, so that padding masks stay aligned with the whole text."""
        return self.seen + query_length, 0

    def get_max_length(self) -> int:
        """No maximum."""
        return -1

    def reset(self) -> None:
        """Forgets everything."""
        self._clear()

    def crop(self, *args: Any, **kwargs: Any) -> None:
        """Refused.

        Raises:
            UnsupportedOperationError: Always; evicted tokens cannot come back.
        """
        raise UnsupportedOperationError(
            "crop: a pruned cache cannot be rolled back (evicted tokens are gone); "
            "use generate without assisted or prompt-lookup decoding"
        )

    def offload(self) -> None:
        """Not supported, since slots move on every update."""
        raise UnsupportedOperationError("offload: a pruned cache stays on the layer's device; do not set offloading")

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Reorders cache, indices and policy state for beam search."""
        self._map_rows(lambda x: x.index_select(0, beam_idx.to(x.device)))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps some batch rows."""
        self._map_rows(lambda x: x[indices.to(x.device)])

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats every batch row, for example to let a population of policies share one prefix."""
        self._map_rows(lambda x: x.repeat_interleave(repeats, dim=0))

    # ------------------------------------------------------------------ what attention calls
    def describe(self, num_attention_heads: int) -> LayerShape:
        """Sizes of this layer; makes the policy's state on the first call."""
        if self.shape is None:
            lane = self.lanes[0]
            batch, heads, _, head_dim = lane.keys.shape
            self.shape = LayerShape(self.layer, self.num_layers, num_attention_heads, heads, head_dim)
            lane.state = State(batch, heads, lane.slots, self.device, self.dtype)
            if self.settings.policy is not None:
                self.settings.policy.start(lane.state, self.shape)
        return self.shape

    def admitted(self) -> Tensor | None:
        """(B, n) bool: which tokens of the running forward an earlier layer chose, if this layer is still empty.

        None if it has to take all that are no padding.
        """
        assert self.incoming is not None
        first = self.seen == self.incoming[0].shape[-2]
        return self.chooser.chosen if self.chooser is not None and first else None

    def append(self, start: int, stop: int, padding: Tensor | None) -> None:
        """Moves tokens [start, stop) of the incoming ones into slots; padded ones are born dead.

        Args:
            start: First token, counted from the start of the forward.
            stop: One past the last.
            padding: (B, indices) bool, True for real tokens, or None.
        """
        assert self.incoming is not None
        keys, values = self.incoming
        first = self.seen - keys.shape[-2]
        count, whole = stop - start, stop - start == keys.shape[2]
        index = torch.arange(first + start, first + stop, device=self.device)  # (n,), written to all rows and heads
        if padding is not None:
            real = padding[:, first + start : first + stop].to(self.device)
            index = index.expand(keys.shape[0], -1).masked_fill(~real, -1)[:, None]  # (B, 1, n)
        if not whole:
            keys, values = keys[:, :, start:stop], values[:, :, start:stop]
        spare = SPARE_SLOTS if count < SPARE_SLOTS else 0
        for lane, (some_keys, some_values) in by_lane(self.lanes, keys, values):
            lane.append(some_keys, some_values, index, spare)
            lane.has_dead |= padding is not None

    def append_step(self, keys: Tensor, values: Tensor, index: Tensor) -> None:
        """`update` and `append` at once, for a few unpadded tokens that attend without `pruned_attention`.

        Args:
            keys: (B, H, n, D).
            values: (B, H, n, D).
            index: (n,) original indices.
        """
        for lane, (some_keys, some_values) in by_lane(self.lanes, keys, values):
            lane.append(some_keys, some_values, index, SPARE_SLOTS)
        self.seen += keys.shape[2]
        self.tokens_seen = (self.seen,) * keys.shape[0]

    def merge(self) -> Lane:
        """Brings all heads into one lane, for an update; `evict` parts them again."""
        self.lanes = [merged(self.lanes)]
        return self.lanes[0]

    def evict(self, keep: Tensor) -> None:
        """Keeps the tokens of `keep` (B, H, S) bool, in their order.

        Args:
            keep: Of the slots of all heads after `merge`.
        """
        (lane,), policy = self.lanes, self.settings.policy
        keep = keep & lane.live
        if bool(keep.all()):
            return
        assert lane.state is not None
        reads = Reads() if policy is None else policy.reads  # KVzip chooses from outside
        apart = lane.state.may_part(rows=reads.rows != 0, queries=reads.queries != 0)
        self.untouched = False
        self.lanes = lane.split(keep, self.seen, together=not apart)

    def release(self, interval: int) -> None:
        """Frees what the policy will not read again; the next update of every row is `interval` tokens away."""
        for lane in self.lanes:
            if lane.state is not None:
                lane.state.release(interval)

    # ------------------------------------------------------------------ what can be read
    @property
    def keys(self) -> Tensor | None:
        """(B, H, S, D) keys of all heads, S slots of the widest lane; a copy if there are several."""
        return merged(self.lanes).keys if self.lanes else None

    @property
    def values(self) -> Tensor | None:
        """As `keys`."""
        return merged(self.lanes).values if self.lanes else None

    @property
    def index(self) -> Tensor:
        """(B, H, S) int64: original index of the token in each slot (padding counts), -1 in dead slots."""
        return merged(self.lanes).index if self.lanes else torch.empty(0, dtype=torch.long)

    @property
    def live(self) -> Tensor:
        """(B, H, S) bool: slots that hold a token."""
        return self.index >= 0

    @property
    def kept(self) -> Tensor:
        """(B, H) int64: live tokens."""
        return from_lanes(self.lanes, [lane.live.sum(-1) for lane in self.lanes], 1)

    @property
    def slots(self) -> int:
        """Slots of the widest lane, S."""
        return max((lane.slots for lane in self.lanes), default=0)

    @property
    def has_dead(self) -> bool:
        """Whether heads or rows may differ in how many tokens they hold."""
        return len(self.lanes) > 1 or any(lane.has_dead for lane in self.lanes)

    @property
    def num_bytes(self) -> int:
        """Bytes allocated for keys, values and indices, dead slots and spare room included."""
        return sum(lane.num_bytes for lane in self.lanes)

    @property
    def state_bytes(self) -> int:
        """Bytes of the policy's buffers."""
        return sum(lane.state.num_bytes for lane in self.lanes if lane.state is not None)

    def _map_rows(self, change: Callable[[Tensor], Tensor]) -> None:
        if not self.is_initialized:
            return
        for lane in self.lanes:
            lane.map_rows(change)
        self.tokens_seen = tuple(change(torch.tensor(self.tokens_seen, device=self.device)).tolist())
