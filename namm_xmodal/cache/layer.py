"""One layer's storage: keys, values, original indices and the policy's state, ragged over rows and kv heads."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin

from namm_xmodal.cache.pending import PENDING, not_attended
from namm_xmodal.cache.settings import Settings
from namm_xmodal.errors import UnsupportedOperationError
from namm_xmodal.policies.protocol import Rotary
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

SPARE_SLOTS = 64
"""Room made at once while decoding, so that most tokens are written in place instead of copying the cache."""


class PrunedLayer(CacheLayerMixin):  # type: ignore[misc]
    """Keys and values of one layer, of which each (row, kv head) keeps its own tokens.

    `get_seq_length` and `get_mask_sizes` speak of tokens *seen*, as in a cache that never forgets, so that position ids,
    padding masks and `generate` stay right whatever was evicted.

    Attributes:
        seen: Indices seen so far, padding included.
        tokens_seen: Real tokens that each batch row has seen.
        untouched: Nothing was evicted yet. A flag, not `S == seen`: one head may keep everything while others evict.
        has_dead: Some slot may be dead; false spares looking for one at every step.
        midway: Of the first layer: a forward began that has not come to its end.
        incoming: (B, H, n, D) keys and values of the running forward, which attention appends block by block.
        state: The policy's buffers.
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
    ) -> None:
        """Makes an empty layer; sizes are learnt from the first keys.

        Args:
            settings: How to prune.
            layer: Its index.
            num_layers: Attention layers of the model.
            rotary: Its rotary embedding, for policies that turn queries (None for models without).
            window: Tokens that transformers' own cache would keep of this layer, None for all.
        """
        super().__init__()
        self.settings = settings
        self.layer, self.num_layers = layer, num_layers
        self.rotary, self.window = rotary, window
        self._clear()

    def _clear(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.incoming: tuple[Tensor, Tensor] | None = None
        self.state: State | None = None
        self.shape: LayerShape | None = None
        self.seen = 0
        self.tokens_seen: tuple[int, ...] = ()
        self.slots = 0
        self.untouched = True
        self.has_dead = False
        self.midway = False
        self.is_initialized = False
        self._store: list[Tensor] = []  # keys, values, index with spare slots

    # ------------------------------------------------------------------ what transformers calls
    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Takes sizes, dtype and device from the first (B, H, n, D) keys and values."""
        self.dtype, self.device = key_states.dtype, key_states.device
        batch, heads = key_states.shape[:2]
        self._store = [
            key_states.new_empty(batch, heads, 0, key_states.shape[-1]),
            value_states.new_empty(batch, heads, 0, value_states.shape[-1]),
            torch.empty(batch, heads, 0, dtype=torch.long, device=self.device),
        ]
        self._expose()
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Sets new keys and values aside for the attention call that follows; returns them unchanged.

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
        """Refused: slots move on every update."""
        raise UnsupportedOperationError("offload: a pruned cache stays on the layer's device; do not set offloading")

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Lets every beam go on from the cache, indices and policy state of the beam it descends from."""
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
            batch, heads, _, head_dim = self._store[0].shape
            self.shape = LayerShape(self.layer, self.num_layers, num_attention_heads, heads, head_dim)
            self.state = State(batch, heads, self.slots, self.device)
            if self.settings.policy is not None:
                self.settings.policy.start(self.state, self.shape)
        return self.shape

    def append(self, start: int, stop: int, padding: Tensor | None) -> None:
        """Moves tokens [start, stop) of the incoming ones into slots; padded ones are born dead.

        Args:
            start: First token, counted from the start of the forward.
            stop: One past the last.
            padding: (B, indices) bool, True for real tokens, or None.
        """
        assert self.incoming is not None and self.state is not None
        keys, values = self.incoming
        first = self.seen - keys.shape[-2]
        count, whole = stop - start, stop - start == keys.shape[2]
        index = torch.arange(first + start, first + stop, device=self.device)  # (n,), written to all rows and heads
        if padding is not None:
            real = padding[:, first + start : first + stop].to(self.device)
            index = index.expand(keys.shape[0], -1).masked_fill(~real, -1)[:, None]  # (B, 1, n)
            self.has_dead = True
        new = [keys, values] if whole else [keys[:, :, start:stop], values[:, :, start:stop]]
        spare = SPARE_SLOTS if count < SPARE_SLOTS else 0
        end = self.slots + count
        differentiable = torch.is_grad_enabled() and keys.requires_grad
        for place, addition in enumerate((*new, index)):
            held = self._store[place]
            if differentiable:  # writing in place would overwrite what backward needs
                addition = addition.expand(*keys.shape[:2], -1) if place == 2 else addition
                self._store[place] = torch.cat([held[:, :, : self.slots], addition], dim=2)
                continue
            if end > held.shape[2]:
                held = self._enlarge(place, end + spare)
            held.narrow(2, self.slots, count).copy_(addition)
        self.state.grow(count, spare)
        self.slots = end
        self._expose()

    def append_step(self, keys: Tensor, values: Tensor, index: Tensor) -> None:
        """`update` and `append` at once, for a few unpadded tokens that attend without `pruned_attention`.

        Args:
            keys: (B, H, n, D).
            values: (B, H, n, D).
            index: (n,) original indices.
        """
        count, end = keys.shape[2], self.slots + keys.shape[2]
        assert self.state is not None
        for place, addition in enumerate((keys, values, index)):
            held = self._store[place]
            if end > held.shape[2]:
                held = self._enlarge(place, end + SPARE_SLOTS)
            held.narrow(2, self.slots, count).copy_(addition)
        self.state.grow(count, SPARE_SLOTS)
        self.slots = end
        self.seen += count
        self.tokens_seen = (self.seen,) * keys.shape[0]
        self._expose()

    def evict(self, keep: Tensor) -> None:
        """Keeps the tokens of `keep` (B, H, S) bool, in their order; shorter heads end in dead slots."""
        keep = keep & self.live
        if bool(keep.all()):
            return
        self.untouched = False
        counts = keep.sum(-1)
        width = int(counts.max())
        self.has_dead = int(counts.min()) < width
        # A stable sort of "stays" brings the survivors to the front in chronological order.
        order = keep.to(torch.int8).argsort(dim=-1, descending=True, stable=True)[..., :width]
        dead = ~keep.gather(-1, order)
        for place in (0, 1):
            held = self._store[place]
            self._store[place] = held.gather(2, order[..., None].expand(-1, -1, -1, held.shape[-1]))
        self._store[2] = self._store[2].gather(-1, order).masked_fill(dead, -1)
        assert self.state is not None
        self.state.gather(order)
        self.slots = width
        self._expose()

    @property
    def index(self) -> Tensor:
        """(B, H, S) int64: original index of the token in each slot (padding counts), -1 in dead slots."""
        return self._store[2].narrow(2, 0, self.slots) if self._store else torch.empty(0, dtype=torch.long)

    @property
    def live(self) -> Tensor:
        """(B, H, S) bool: slots that hold a token."""
        return self.index >= 0

    @property
    def kept(self) -> Tensor:
        """(B, H) int64: live tokens."""
        return self.live.sum(-1)

    @property
    def num_bytes(self) -> int:
        """Bytes allocated for keys, values and indices, dead slots and spare room included."""
        return sum(held.numel() * held.element_size() for held in self._store)

    def _enlarge(self, place: int, room: int) -> Tensor:
        """Moves keys, values or index into a larger store of `room` slots."""
        held = self._store[place]
        larger = held.new_empty(*held.shape[:2], room, *held.shape[3:])
        larger[:, :, : self.slots] = held[:, :, : self.slots]
        self._store[place] = larger
        return larger

    def _expose(self) -> None:
        keys, values, _ = self._store
        self.keys, self.values = keys.narrow(2, 0, self.slots), values.narrow(2, 0, self.slots)

    def _map_rows(self, change: Callable[[Tensor], Tensor]) -> None:
        if not self.is_initialized:
            return
        self._store = [change(held[:, :, : self.slots]) for held in self._store]
        if self.state is not None:
            self.state.map_rows(change)
        self.tokens_seen = tuple(change(torch.tensor(self.tokens_seen, device=self.device)).tolist())
        self._expose()
