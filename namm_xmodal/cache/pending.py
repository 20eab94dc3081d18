"""Hands a layer from the cache's `update` to the attention call that follows it."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

from torch import Tensor

from namm_xmodal.errors import UnsupportedOperationError

if TYPE_CHECKING:
    from namm_xmodal.cache.handover import Handover
    from namm_xmodal.cache.layer import PrunedLayer

PENDING: ContextVar["PrunedLayer | None"] = ContextVar("namm_xmodal_pending_layer", default=None)
"""The layer whose `update` was called last. transformers does not hand the cache to the attention function, but calls
it right after `update`; `pruned_attention` takes the layer from here and checks that the keys are the very same
tensor."""

_SOURCES: ContextVar[tuple["PrunedLayer", ...]] = ContextVar("namm_xmodal_source_layers", default=())
"""Layers of the running forward whose keys and values later layers are still to read."""


def forget() -> None:
    """Clears what a failed forward left behind."""
    PENDING.set(None)
    _SOURCES.set(())


def hand_over(layer: "PrunedLayer") -> None:
    """Lets later layers of the running forward find a layer by the keys and values that its update returned."""
    _SOURCES.set((*_SOURCES.get(), layer))


def take_source(key: Tensor, value: Tensor) -> "tuple[PrunedLayer, Handover] | None":
    """The earlier layer that `key` and `value` are of; once for each layer that reads it, then it is let go."""
    for layer in _SOURCES.get():
        handover = layer.handover
        if handover is None or handover.incoming[0] is not key or handover.incoming[1] is not value:
            continue
        handover.readers -= 1
        if not handover.readers:
            layer.handover = None
            _SOURCES.set(tuple(each for each in _SOURCES.get() if each is not layer))
        return layer, handover
    return None


def take_pending(key: Tensor, value: Tensor) -> "PrunedLayer | None":
    """The layer that was just updated, if `key` and `value` are what its update returned, or were expanded from that.

    Latent attention (DeepSeek and kin) caches one latent per token and expands it to the keys and values of all heads
    before it attends. Heads choose their own tokens here, so what attention reads is what is stored.

    Raises:
        UnsupportedOperationError: If the model changed them between cache and attention in another way.
    """
    layer = PENDING.get()
    PENDING.set(None)
    if layer is None:
        return None
    if layer.incoming is None or not _expanded(layer.incoming, (key, value)):
        raise UnsupportedOperationError(
            f"layer {layer.layer}: the model changes keys or values between cache and attention, so wrong tokens would "
            "be evicted"
        )
    if layer.incoming[0] is not key or layer.incoming[1] is not value:
        if layer.shape is None:
            layer.lazy_initialization(key, value)
        layer.incoming = key, value
    return layer


def _expanded(cached: tuple[Tensor, Tensor], read: tuple[Tensor, Tensor]) -> bool:
    """Whether tensors are the cached ones, or other numbers of heads and dimensions of the same tokens."""
    same = all(new is old for old, new in zip(cached, read, strict=True))
    tokens = all(
        new.shape[0] == old.shape[0] and new.shape[2] == old.shape[2] for old, new in zip(cached, read, strict=True)
    )
    return same or (tokens and cached[0].shape[1:] != read[0].shape[1:])


def not_attended(layer: "PrunedLayer") -> UnsupportedOperationError:
    """The refusal for keys that another attention read: it saw the newest tokens only."""
    return UnsupportedOperationError(
        f"layer {layer.layer}: its keys went into the pruned cache, but another attention implementation read them; do "
        "not call set_attn_implementation inside the block"
    )
