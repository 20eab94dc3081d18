"""A model inside `pruned`: makes caches, generates with them, reports on them."""

from typing import Any

import torch
from torch import Tensor

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.cache.settings import Settings
from namm_xmodal.errors import UnsupportedOperationError
from namm_xmodal.memory.plan import empty_cache, plan_layers
from namm_xmodal.memory.report import MemoryReport, report_on
from namm_xmodal.memory.supply import not_longer, pruned_layers

_ROLLS_BACK = ("assistant_model", "prompt_lookup_num_tokens", "use_mtp")
_OF_THE_CACHE = {"use_cache": True, "cache_implementation": None}


class Memory:
    """A model inside `pruned`: makes caches, generates with them, reports on the last one.

    Attributes:
        model: The model.
        adapter: What is known about its architecture.
        settings: How its caches are pruned.
        last_cache: The cache made last, by whoever called the model, None before the first. Threads that share a memory
            overwrite it: there, make your own with `cache()`.
    """

    def __init__(self, model: torch.nn.Module, adapter: Adapter, settings: Settings) -> None:
        """Used by `pruned`."""
        self.model, self.adapter, self.settings = model, adapter, settings
        self.last_cache: PrunedCache | None = None
        self._rotary = adapter.rotary(model)
        self._plan = plan_layers(adapter.decoder(model).config, adapter.num_layers(model))

    def cache(self) -> PrunedCache:
        """A new, empty cache; pass it as `past_key_values`, and again to continue the same text."""
        cache = empty_cache(self._plan, self.settings, self._rotary)
        self.last_cache = cache
        return cache

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """`model.generate` with a pruned cache; arguments and result are the model's own.

        Pass `past_key_values` of an earlier turn to continue it; `input_ids` are then the whole conversation, longer
        than what the cache has seen. Otherwise a new cache is made. What a checkpoint's generation config says of
        caches (`use_cache: false`, `cache_implementation`) does not count.

        Raises:
            UnsupportedOperationError: For decoding that has to roll the cache back, for another or no cache, and for a
                second turn without new tokens.
        """
        model: Any = self.model
        configs = [kwargs.get("generation_config"), getattr(model, "generation_config", None)]
        asked = [name for name in _ROLLS_BACK if kwargs.get(name) or any(getattr(c, name, None) for c in configs)]
        if asked:
            raise UnsupportedOperationError(
                f"generate({asked[0]}=...): assisted decoding rolls the cache back, which is impossible after "
                "eviction; leave it out"
            )
        for name, wanted in _OF_THE_CACHE.items():
            if kwargs.get(name) not in (None, wanted):
                raise UnsupportedOperationError(
                    f"generate({name}={kwargs[name]!r}): a pruned cache is always used here; leave it out"
                )
            if any(getattr(config, name, None) not in (None, wanted) for config in configs):
                kwargs[name] = wanted
        given = kwargs.pop("past_key_values", None)
        if given is None:
            return model.generate(*args, past_key_values=self.cache(), **kwargs)
        layers = pruned_layers(given)
        if layers is None:
            raise UnsupportedOperationError(
                f"generate(past_key_values={type(given).__name__}): expected a cache of this memory (memory.cache())"
            )
        self.last_cache = given if isinstance(given, PrunedCache) else PrunedCache(given.layers)
        _check_longer(layers[0].seen, args, kwargs)
        return model.generate(*args, past_key_values=given, **kwargs)

    def report(self) -> MemoryReport:
        """Kept tokens and bytes of the last cache, by layer and head.

        Raises:
            UnsupportedOperationError: If no cache was made yet.
        """
        if self.last_cache is None:
            raise UnsupportedOperationError("report: there is no cache yet; call generate or cache() first")
        return report_on(self.last_cache, self.last_cache.settings.name)


def _check_longer(seen: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuses a turn whose ids are not the whole conversation; with an `attention_mask` that covers it, new ids will do."""
    ids = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
    if not isinstance(ids, Tensor) or ids.shape[1] > seen:
        return
    mask = kwargs.get("attention_mask")
    if mask is None or ids.shape[1] == 0 or mask.shape[1] != seen + ids.shape[1]:
        raise not_longer(seen)
