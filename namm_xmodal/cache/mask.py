"""Attention masks that stay functions until a layer knows which tokens it still holds.

transformers builds one mask per forward, sized for a cache that never forgets. Registered under the name of our
attention, `lazy_mask` hands over the mask *function* instead, and each layer evaluates it on the original indices of
its own slots: causality, padding, sliding windows and block overlays come from transformers itself, per layer, row and
kv head.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn

import torch
from torch import Tensor
from transformers import AttentionMaskInterface
from transformers.masking_utils import causal_mask_function, prepare_padding_mask, sdpa_mask

from namm_xmodal.errors import UnsupportedModelError, UnsupportedOperationError

ATTENTION_NAME = "namm_xmodal_pruned"
"""Name of the attention and mask functions in transformers' registries."""


_CHANGED = (
    "the model {} its attention mask before or beside attention, which a mask that follows evicted tokens does not allow: "
    "neither this architecture nor a static cache (cache_implementation) can be pruned"
)


class _NoTensorError(UnsupportedModelError, AttributeError):
    """Raised for a model that computes on its mask; also an AttributeError, so that `hasattr` returns False."""


@dataclass
class LazyMask:
    """The mask of one forward, before it is evaluated for a layer.

    Attributes:
        mask_function: (row, head, query index, key index) -> bool without padding; indices count padded tokens too.
        q_offset: Index of the first query.
        q_length: Number of queries.
        plain: The mask is nothing but causal: no padding, window or overlay.
        padding: (B, q_offset + q_length) bool, True for real tokens; None if there is no padding.
        elementwise: `mask_function` takes scalars only and has to be vmapped.
        arguments: What transformers asked for, to build its own dense mask.
        cut: Queries of the forward before the first one, whose rows the model cut off.
    """

    mask_function: Callable[..., Tensor]
    q_offset: int
    q_length: int
    plain: bool
    padding: Tensor | None
    elementwise: bool
    arguments: dict[str, Any] = field(repr=False)
    cut: int = 0

    @property
    def ndim(self) -> int:
        """Four, as transformers expects of a mask that needs no more work."""
        return 4

    @property
    def bidirectional(self) -> bool:
        """Whether tokens see their successors, as in encoders and in cross-attention."""
        return "allow_is_bidirectional_skip" in self.arguments

    def keeps(self, window: int) -> bool:
        """Whether it hides what left a sliding window or a chunk, from the newest query at least.

        Args:
            window: Its tokens, fewer than have been seen.
        """
        if self.plain or self.arguments.get("local_size") is not None:
            return not self.plain
        newest = self.q_offset + self.q_length - 1  # overlays of some vision-language models hold the window themselves
        return not bool(self.mask_function(*(torch.tensor(at) for at in (0, 0, newest, newest - window))))

    @cached_property
    def dense(self) -> Tensor | None:
        """The mask that transformers itself gives to sdpa, so that an untouched cache is bit-identical to it."""
        mask: Tensor | None = sdpa_mask(**self.arguments)
        return mask

    @cached_property
    def counts(self) -> Tensor | None:
        """(B, indices) int64 on the CPU: real tokens up to and including each index; None without padding."""
        return None if self.padding is None else self.padding.long().cumsum(-1).cpu()

    def on(self, index: Tensor, start: int, stop: int) -> Tensor:
        """Evaluates the mask for queries [start, stop) of this forward on a layer's slots.

        Args:
            index: (B, H, S) original indices of the slots, -1 in dead ones.
            start: First query, counted from the start of the forward.
            stop: One past the last query.

        Returns:
            (B, H, Q, S) bool, True where a query may look.
        """
        batch, heads, slots = index.shape
        device = index.device
        row = torch.arange(batch, device=device)[:, None, None, None]
        head = torch.arange(heads, device=device)[None, :, None, None]
        query = (torch.arange(start, stop, device=device) + self.q_offset)[None, None, :, None]
        key = index[:, :, None, :]
        shape = (batch, heads, stop - start, slots)
        if self.elementwise:
            flat = [x.expand(shape).reshape(-1) for x in (row, head, query, key.clamp(min=0))]
            visible = torch.vmap(self.mask_function)(*flat).view(shape)
        else:
            visible = self.mask_function(row, head, query, key.clamp(min=0))
        if self.padding is not None:  # moved here, since the layers of a model may lie on several devices
            visible = visible & self.padding.to(device)[row, key.clamp(min=0)]
        return (visible & (key >= 0)).expand(shape)

    def reachable(self, index: Tensor, stop: int) -> Tensor | None:
        """Which slots a token after query `stop` can still see; None if all of them.

        A sliding window or a chunk only ever moves on, so what the next token cannot see is never seen again. Overlays
        that look ahead promise nothing of the kind.

        Args:
            index: (B, H, S) original indices of the slots.
            stop: One past the last query that attended, counted from the start of the forward.

        Returns:
            (B, H, S) bool or None.
        """
        if self.plain or self.elementwise:
            return None
        # Padding covers the tokens of this forward only, and is dead in the index already.
        return replace(self, padding=None).on(index, stop, stop + 1)[:, :, 0]

    # ------------------------------------------------------------------ what a model that takes it for a tensor would
    # do
    def __getattr__(self, name: str) -> NoReturn:
        """Refuses attributes of tensors: shape, dtype, `contiguous`."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise _NoTensorError(_CHANGED.format(f"uses the {name} of"))

    def __getitem__(self, place: Any) -> "LazyMask":
        """The rows of the newest queries, `mask[:, :, first:, :]`, as Gemma 4 cuts it; refuses to be cut otherwise."""
        whole = slice(None)
        rows = place[2] if isinstance(place, tuple) and len(place) == self.ndim else whole
        if not isinstance(rows, slice) or place != (whole, whole, slice(rows.start, None), whole):
            raise _NoTensorError(_CHANGED.format("cuts"))
        first, _, _ = rows.indices(self.q_length)
        if first == 0:
            return self
        offset, length = self.q_offset + first, self.q_length - first
        arguments = {**self.arguments, "q_offset": self.arguments["q_offset"] + first, "q_length": length}
        return replace(self, q_offset=offset, q_length=length, arguments=arguments, cut=self.cut + first)

    @classmethod
    def __torch_function__(cls, function: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses to be added to logits and the like."""
        raise _NoTensorError(_CHANGED.format(f"calls {getattr(function, '__name__', 'a function')} on"))


def plain_step_mask(seen: int, count: int, device: torch.device) -> LazyMask:
    """The causal mask of a few unpadded tokens behind `seen` ones, for callers that skip transformers' mask builder.

    Args:
        seen: Tokens before them.
        count: How many they are.
        device: Where the mask lies.
    """
    mask = LazyMask(causal_mask_function, seen, count, plain=True, padding=None, elementwise=False, arguments={})
    # What transformers' builder would give: nothing for a single query, or for the first tokens of a text.
    own = torch.arange(seen, seen + count, device=device)[:, None]
    needed = count > 1 and seen > 0
    mask.dense = (torch.arange(seen + count, device=device)[None] <= own)[None, None] if needed else None
    return mask


def lazy_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Tensor] | None = None,
    attention_mask: "Tensor | LazyMask | None" = None,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    use_vmap: bool = False,
    **others: Any,
) -> LazyMask:
    """The mask function that transformers calls once per forward and mask type; see `LazyMask`.

    Raises:
        UnsupportedOperationError: For a cache that has room for tokens to come.
    """
    if isinstance(
        attention_mask, LazyMask
    ):  # some multimodal models make it before the language model, which asks again
        return attention_mask
    if kv_offset + kv_length > q_offset + q_length:
        raise UnsupportedOperationError(
            f"a static cache for {kv_length} tokens cannot be pruned; leave out cache_implementation"
        )
    arguments = dict(
        batch_size=batch_size,
        q_length=q_length,
        kv_length=kv_length,
        q_offset=q_offset,
        kv_offset=kv_offset,
        mask_function=mask_function,
        attention_mask=attention_mask,
        local_size=local_size,
        allow_is_causal_skip=allow_is_causal_skip,
        use_vmap=use_vmap,
        **others,
    )
    padding = prepare_padding_mask(attention_mask, kv_length, kv_offset)
    if padding is not None and bool(padding.all()):
        padding = None
    assert mask_function is not None
    return LazyMask(
        mask_function=mask_function,
        q_offset=int(q_offset),
        q_length=q_length,
        # A window (`local_size`) or an overlay (`allow_is_causal_skip=False`) is not plain even without padding.
        plain=allow_is_causal_skip and local_size is None and padding is None,
        padding=padding,
        elementwise=use_vmap,
        arguments=arguments,
    )


AttentionMaskInterface.register(ATTENTION_NAME, lazy_mask)
