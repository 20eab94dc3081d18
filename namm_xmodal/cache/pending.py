"""From the cache to the attention call that follows it: whose keys are on their way."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

from torch import Tensor

from namm_xmodal.errors import UnsupportedOperationError

if TYPE_CHECKING:
    from namm_xmodal.cache.layer import PrunedLayer

PENDING: ContextVar["PrunedLayer | None"] = ContextVar("namm_xmodal_pending_layer", default=None)
"""The layer whose `update` was called last. transformers does not hand the cache to the attention function, but calls it
right after `update`; `pruned_attention` takes the layer from here and checks that the keys are the very same tensor."""


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
            f"layer {layer.layer}: the model changes keys or values between cache and attention, so evictions would hit "
            "the wrong tokens"
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
        f"layer {layer.layer}: its keys went into the pruned cache, but another attention read them; leave the "
        "implementation as `pruned` set it (no set_attn_implementation inside the block)"
    )
