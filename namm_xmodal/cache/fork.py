"""Copies of a cache that can be continued on their own, pruned further or as they are."""

import copy
from typing import Any

from namm_xmodal.cache.pruned_cache import PrunedCache


def fork(cache: PrunedCache, *, frozen: bool = False) -> PrunedCache:
    """A copy that can be continued on its own; policy and rotary tables are shared, keys and state are not.

    Args:
        cache: What to copy; it stays as it is.
        frozen: Whether nothing is evicted from the copy any more, however much it reads: for a context that was pruned
            before its questions were known. The policy's state is left behind.
    """
    known: dict[int, Any] = {}  # what `deepcopy` takes instead of a copy
    for layer in cache.pruned:
        if layer.rotary is not None:
            known[id(layer.rotary)] = layer.rotary
        if id(layer.settings) not in known:
            known[id(layer.settings)] = layer.settings.frozen() if frozen else layer.settings
        if frozen:
            known |= {id(lane.state): lane.state.bare() for lane in layer.lanes if lane.state is not None}
    return copy.deepcopy(cache, known)
