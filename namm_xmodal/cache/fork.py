"""Copies of a cache that can be continued on their own."""

import copy
from typing import Any

from namm_xmodal.cache.pruned_cache import PrunedCache


def fork(cache: PrunedCache) -> PrunedCache:
    """A copy that can be continued on its own; policy and rotary tables are shared, keys and state are not."""
    shared: dict[int, Any] = {}
    for layer in cache.pruned:
        shared |= {id(each): each for each in (layer.settings, layer.rotary) if each is not None}
    return copy.deepcopy(cache, shared)
