"""The oracle: full attention under an explicit mask of what each query could see, to check a pruned cache against.

A pruned run records which tokens every layer, row and kv head still held when each query attended. The same text then
goes through the model once more, without any cache: plain softmax over all tokens, in which whatever was gone is
masked. Both runs must agree. Nothing of the engine's attention or mask code is used here; padding, windows and causal
order come from transformers' own dense mask.

    cache = recording(memory.cache())
    logits = model(**inputs, past_key_values=cache).logits
    with masked_attention(model, visibility_of(cache)):
        expected = model(**inputs, use_cache=False).logits
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import cycle
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.cache.state_layer import PrunedStateLayer
from namm_xmodal.errors import UnsupportedModelError, UnsupportedOperationError

ORACLE_NAME = "namm_xmodal_oracle"
"""Name of the oracle's attention and mask functions in transformers' registries."""

_VISIBILITY: ContextVar["_Visible | None"] = ContextVar("namm_xmodal_oracle_visibility", default=None)


class _Visible:
    """Of each attention call to come. Calls are counted, since a module may be called for several layers of a cache.

    A call with the very keys of an earlier one is of a layer that reuses them, and sees what the earlier one saw.
    """

    def __init__(self, visibility: Sequence[Tensor]) -> None:
        self._coming = cycle(visibility)
        self._seen = WeakIdKeyDictionary()

    def of(self, key: Tensor) -> Tensor:
        if key not in self._seen:
            self._seen[key] = next(self._coming)
        seen: Tensor = self._seen[key]
        return seen


class RecordingLayer(PrunedLayer):
    """A layer that notes, before each block attends, which original indices its slots hold.

    Attributes:
        blocks: (first query, last query + 1, (B, H, S) indices) of every block so far; indices are -1 in dead slots.
    """

    blocks: list[tuple[int, int, Tensor]]

    def append(self, start: int, stop: int, padding: Tensor | None) -> None:
        """Appends as usual, then notes what the block will see."""
        super().append(start, stop, padding)
        assert self.incoming is not None
        first = self.seen - self.incoming[0].shape[-2]
        self.blocks.append((first + start, first + stop, self.index.clone()))

    def append_step(self, keys: Tensor, values: Tensor, index: Tensor) -> None:
        """Appends as usual, then notes what the tokens will see."""
        super().append_step(keys, values, index)
        self.blocks.append((self.seen - keys.shape[-2], self.seen, self.index.clone()))

    def _clear(self) -> None:
        super()._clear()
        self.blocks = []

    def _map_rows(self, change: Callable[[Tensor], Tensor]) -> None:
        super()._map_rows(change)  # a beam's past is that of the beam it descends from
        self.blocks = [(first, last, change(index)) for first, last, index in self.blocks]


class RecordingStateLayer(RecordingLayer, PrunedStateLayer):
    """The same for a layer that keeps a state beside."""


def recording(cache: PrunedCache) -> PrunedCache:
    """A cache like `cache`, empty, that records what each query sees.

    Args:
        cache: An empty cache, for example `memory.cache()`.

    Raises:
        UnsupportedOperationError: If it is not empty.
    """
    if any(layer.seen for layer in cache.pruned):
        raise UnsupportedOperationError("recording: the cache has already seen tokens; pass a new one")
    return PrunedCache([_recording(layer) for layer in cache.layers])


def _recording(layer: Any) -> Any:
    """A layer like an empty one, which records if it is pruned."""
    if not isinstance(layer, PrunedLayer):
        return layer
    about = (layer.settings, layer.layer, layer.num_layers, layer.rotary, layer.window)
    if isinstance(layer, PrunedStateLayer):
        return RecordingStateLayer(*about, layer.number_of_states)
    return RecordingLayer(*about, layer.readers)


def visibility_of(cache: PrunedCache) -> list[Tensor]:
    """What the queries of a recorded run could see, one (B, H, T, T) bool tensor per layer.

    Entry [b, h, q, k] is true if token k was held when query q attended. It says nothing about causal order, padding or
    windows, which the model's own mask adds; tokens newer than q may be marked if they came in the same block.

    Args:
        cache: What `recording` returned, after the run.

    Raises:
        UnsupportedOperationError: If the cache does not record.
    """
    found = []
    for layer in cache.pruned:
        if not isinstance(layer, RecordingLayer):
            raise UnsupportedOperationError(
                "visibility_of: this cache does not record; create it with recording(cache)"
            )
        batch, heads = layer.index.shape[:2]
        held = torch.zeros(batch, heads, layer.seen, layer.seen + 1, dtype=torch.bool)
        for first, last, index in layer.blocks:
            place = index.masked_fill(index < 0, layer.seen).cpu()  # the spare last column takes the dead slots
            present = torch.zeros(batch, heads, layer.seen + 1, dtype=torch.bool).scatter(-1, place, True)
            held[:, :, first:last] = present[:, :, None]
        found.append(held[..., :-1])
    return found


@contextmanager
def masked_attention(
    model: torch.nn.Module,
    visibility: Sequence[Tensor],
    *,
    switch: str | dict[str, str] = ORACLE_NAME,
    restore: str | dict[str, str] | None = None,
) -> Iterator[None]:
    """Switches a model to full attention under explicit masks for the length of a `with` block.

    Args:
        model: A transformers model; call it without a cache, on all T tokens at once.
        visibility: (B, H, T, T) bool per layer, as `visibility_of` returns it.
        switch: Argument of `set_attn_implementation`; models of several parts need their adapter's
            `attention_implementation(model, ORACLE_NAME)`.
        restore: The argument that undoes it, what the model has now if None.
    """
    switchable: Any = model
    before = switchable.config._attn_implementation if restore is None else restore
    token = _VISIBILITY.set(_Visible(visibility))
    try:
        switchable.set_attn_implementation(switch)
        yield
    finally:
        switchable.set_attn_implementation(before)
        _VISIBILITY.reset(token)


def oracle_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """softmax(Q K^T) V under the model's own dense mask and the recorded visibility, without optimisations.

    Args:
        module: The attention module.
        query: (B, Hq, T, D).
        key: (B, H, T, D).
        value: (B, H, T, D).
        attention_mask: (B, 1, T, T) bool.
        dropout: Ignored: the oracle is for evaluation.
        scaling: Factor of the logits, 1 / sqrt(D) if None.
        **kwargs: Other arguments of the architecture.

    Returns:
        Output (B, T, Hq, D) and None.

    Raises:
        UnsupportedModelError: If the architecture asks for attention that is not plain softmax attention.
        UnsupportedOperationError: Outside `masked_attention`, or if the tokens are not those that were recorded.
    """
    visibility = _VISIBILITY.get()
    if visibility is None:
        raise UnsupportedOperationError("oracle attention: use it inside masked_attention(model, visibility)")
    asked = [name for name in ("position_bias", "sinks", "indices", "block_indices") if kwargs.get(name) is not None]
    if asked:
        raise UnsupportedModelError(
            f"{type(module).__name__} passes {', '.join(asked)}, which the oracle does not compute"
        )
    seen = visibility.of(key).to(query.device)
    if seen.shape[-1] != key.shape[2] or seen.shape[-2] != query.shape[2]:
        raise UnsupportedOperationError(
            f"oracle attention: {query.shape[2]} queries and {key.shape[2]} keys, but {seen.shape[-1]} tokens were "
            "recorded; call the model without a cache on all of them"
        )
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)  # (B, Hq, T, D)
    logits = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    softcap, sinks = kwargs.get("softcap"), kwargs.get("s_aux")
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    visible = seen.repeat_interleave(groups, 1)
    if attention_mask is not None:
        visible = visible & attention_mask
    logits = logits.masked_fill(~visible, float("-inf"))
    if sinks is not None:  # one more column, for a token that has no value
        logits = torch.cat([logits, sinks[None, :, None, None].expand(*logits.shape[:3], 1)], -1)
    weights = logits.softmax(-1)[..., : key.shape[2]].nan_to_num(0.0)  # padded queries see nothing
    return (weights @ value).transpose(1, 2).contiguous(), None


def oracle_mask(*args: Any, **kwargs: Any) -> Tensor:
    """The dense mask of transformers itself, never left out."""
    kwargs.update(allow_is_causal_skip=False, allow_is_bidirectional_skip=False)
    mask: Tensor = sdpa_mask(*args, **kwargs)
    return mask


AttentionInterface.register(ORACLE_NAME, oracle_attention)
AttentionMaskInterface.register(ORACLE_NAME, oracle_mask)
