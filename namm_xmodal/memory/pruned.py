"""`pruned`: a model that forgets, for the length of a `with` block."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import DynamicCache

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.adapters.table import adapter_by_name, find_adapter
from namm_xmodal.cache import attention as _registered  # noqa: F401  registers the attention and mask functions
from namm_xmodal.cache.clock import Clock
from namm_xmodal.cache.layer import PENDING, PrunedLayer, Settings
from namm_xmodal.cache.mask import ATTENTION_NAME
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.cache.switch import Switch
from namm_xmodal.errors import ConfigError, UnsupportedModelError, UnsupportedOperationError
from namm_xmodal.memory.report import MemoryReport, report_on
from namm_xmodal.memory.supply import CacheSupply, not_longer, pruned_layers
from namm_xmodal.policies.protocol import Policy
from namm_xmodal.types import Protocol, Selection

_ROLLS_BACK = ("assistant_model", "prompt_lookup_num_tokens", "use_mtp")
_OF_THE_CACHE = {"use_cache": True, "cache_implementation": None}

_SWITCHES: WeakKeyDictionary[torch.nn.Module, Switch] = WeakKeyDictionary()
_ENTERED: ContextVar[tuple["Memory", ...]] = ContextVar("namm_xmodal_entered_blocks", default=())
"""Open blocks of this thread or task, of any model, oldest first."""


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
        self._rotary, self._windows = adapter.rotary(model), _windows(adapter.decoder(model))

    def cache(self) -> PrunedCache:
        """A new, empty cache; pass it as `past_key_values`, and again to continue the same text."""
        count = self.adapter.num_layers(self.model)
        layers = [PrunedLayer(self.settings, i, count, self._rotary[i], self._windows.get(i)) for i in range(count)]
        cache = PrunedCache(layers)
        self.last_cache = cache
        return cache

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """`model.generate` with a pruned cache; arguments and result are the model's own.

        Pass `past_key_values` of an earlier turn to continue it; `input_ids` are then the whole conversation, longer than
        what the cache has seen. Otherwise a new cache is made. What a checkpoint's generation config says of caches
        (`use_cache: false`, `cache_implementation`) does not count.

        Raises:
            UnsupportedOperationError: For decoding that has to roll the cache back, for another or no cache, and for a
                second turn without new tokens.
        """
        model: Any = self.model
        configs = [kwargs.get("generation_config"), getattr(model, "generation_config", None)]
        asked = [name for name in _ROLLS_BACK if kwargs.get(name) or any(getattr(c, name, None) for c in configs)]
        if asked:
            raise UnsupportedOperationError(
                f"generate({asked[0]}=...): assisted decoding rolls the cache back, which eviction makes impossible; "
                "leave it out"
            )
        for name, wanted in _OF_THE_CACHE.items():
            if kwargs.get(name) not in (None, wanted):
                raise UnsupportedOperationError(
                    f"generate({name}={kwargs[name]!r}): a pruned cache is used here and no other; leave it out"
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
        self.last_cache = given if isinstance(given, PrunedCache) else PrunedCache(layers)
        _check_longer(layers[0].seen, args, kwargs)
        return model.generate(*args, past_key_values=given, **kwargs)

    def report(self) -> MemoryReport:
        """Kept tokens and bytes of the last cache, by layer and head.

        Raises:
            UnsupportedOperationError: If no cache was made yet.
        """
        if self.last_cache is None:
            raise UnsupportedOperationError("report: no cache was made yet; call generate or cache() first")
        policy = self.last_cache.settings.policy
        return report_on(self.last_cache, "full cache" if policy is None else type(policy).__name__)


@contextmanager
def pruned(
    model: torch.nn.Module,
    policy: Policy | None,
    *,
    update_every: int | None = 512,
    protocol: Protocol = "clock",
    protect_first: int = 0,
    protect_recent: int = 1,
    selection: Selection = "ragged",
    attention: Literal["auto", "sdpa", "tiled"] = "auto",
    tile: int = 64,
    adapter: Adapter | str | None = None,
) -> Iterator[Memory]:
    """Switches a model to attention over pruned caches, and back when the block ends.

    Every call of the model inside the block is pruned: `model(...)`, `model.generate(...)` and pipelines get a cache of
    their own, an empty `DynamicCache` becomes a pruned one. What cannot be pruned is refused. Blocks may nest, cross and run
    in several threads: a call goes to the block opened last where it is made, a cache keeps the policy it was made with, and
    the model is restored when its last block closes.

    Args:
        model: A transformers model, in evaluation mode.
        policy: Decides what is kept; None keeps everything.
        update_every: Tokens between updates, counted per batch row from its first real token. A NAMM needs a multiple of
            its hop (16).
        protocol: `clock`, or `prompt_end` for one update after each forward of several tokens.
        protect_first: Tokens at the start that always stay. Counts towards a budget.
        protect_recent: Newest tokens that always stay. Counts towards a budget; 1, as published for NAMM.
        selection: `ragged`, or `layer_max` as in the published NAMM code.
        attention: Where outputs come from when the policy reads every attention row: `sdpa` (bit-identical to the model
            as long as nothing is evicted), `tiled` (faster: one softmax serves output and policy), or `auto`: `tiled` for
            half precision, `sdpa` for float32 and float64.
        tile: Most attention rows in memory at once.
        adapter: An adapter or its name; found by itself if None.

    Yields:
        The memory, from which caches and reports come.

    Raises:
        UnsupportedModelError: If the model lacks something; names it.
        BudgetError: If the budget does not hold the protected tokens.
        ClockError: If `update_every` does not fit the policy.

    Example:
        >>> with pruned(model, StreamingLLM(budget=256), update_every=128) as memory:  # doctest: +SKIP
        ...     memory.generate(**inputs, max_new_tokens=32)
    """
    settings = _settings(policy, update_every, protocol, protect_first, protect_recent, selection, attention, tile)
    found = adapter_by_name(adapter) if isinstance(adapter, str) else adapter or find_adapter(model)
    missing = found.missing(model)
    if missing is not None:
        raise UnsupportedModelError(f"{type(model).__name__} cannot be pruned: the model {missing}")
    decoder = found.decoder(model)
    switch = _SWITCHES.setdefault(decoder, Switch())
    memory = Memory(model, found, replace(settings, switch=switch))
    switch.open(memory, partial(_turn_on, model, found, switch))
    _ENTERED.set((*_ENTERED.get(), memory))
    try:
        yield memory
    finally:
        PENDING.set(None)  # an interrupted forward may have left a layer waiting for its attention call
        _ENTERED.set(tuple(each for each in _ENTERED.get() if each is not memory))
        switch.close(memory)


def _turn_on(model: torch.nn.Module, adapter: Adapter, switch: Switch) -> Callable[[], None]:
    """Switches a model's attention and hooks its decoder; returns what undoes both."""
    switchable: Any = model
    with ExitStack() as stack:
        stack.callback(switchable.set_attn_implementation, adapter.current_implementation(model))
        switchable.set_attn_implementation(adapter.attention_implementation(model, ATTENTION_NAME))
        _check_switched(model, adapter)
        stack.callback(CacheSupply(adapter.decoder(model), switch, partial(_new_cache, switch)).remove)
        return stack.pop_all().close


def _new_cache(switch: Switch, returned: bool) -> PrunedCache:
    """A cache for a call that came without one.

    Args:
        switch: Of the model.
        returned: Whether the caller gets it back to continue the text.

    Raises:
        UnsupportedOperationError: If it cannot be known which block is meant, or nothing would ever be pruned.
    """
    here = [memory for memory in _ENTERED.get() if memory in switch.blocks]
    if not here and len(switch.blocks) > 1:
        raise UnsupportedOperationError(
            f"{len(switch.blocks)} pruned blocks are open on this model, none of them in this thread: pass "
            "past_key_values=memory.cache() of the one that is meant"
        )
    memory: Memory = here[-1] if here else switch.blocks[0]
    if not returned and memory.settings.clock.protocol == "prompt_end":
        raise UnsupportedOperationError(
            "use_cache=False with protocol='prompt_end': what is pruned at the end of a forward would never be read again; "
            "set use_cache=True in the call (or in the model's generation_config and config)"
        )
    return memory.cache()


def _windows(decoder: torch.nn.Module) -> dict[int, int]:
    """Layer -> tokens that transformers' own cache keeps of it, for layers with a window."""
    layers = DynamicCache(config=decoder.config).layers
    return {i: int(layer.sliding_window) for i, layer in enumerate(layers) if layer.is_sliding}


def _check_longer(seen: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuses a turn whose ids are not the whole conversation; with an `attention_mask` that covers it, new ids will do."""
    ids = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
    if not isinstance(ids, Tensor) or ids.shape[1] > seen:
        return
    mask = kwargs.get("attention_mask")
    if mask is None or ids.shape[1] == 0 or mask.shape[1] != seen + ids.shape[1]:
        raise not_longer(seen)


def _settings(
    policy: Policy | None,
    update_every: int | None,
    protocol: Protocol,
    protect_first: int,
    protect_recent: int,
    selection: Selection,
    attention: str,
    tile: int,
) -> Settings:
    """Refuses what cannot work before the model is touched."""
    for name, count in (("protect_first", protect_first), ("protect_recent", protect_recent)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ConfigError(f"{name}={count!r}: expected a number of tokens, 0 or more")
    for name, given, choices in (
        ("selection", selection, ("ragged", "layer_max")),
        ("attention", attention, ("auto", "sdpa", "tiled")),
    ):
        if given not in choices:
            raise ConfigError(f"{name}={given!r}: expected one of {', '.join(choices)}")
    if isinstance(tile, bool) or not isinstance(tile, int) or tile < 1:
        raise ConfigError(f"tile={tile!r}: expected a positive number of queries")
    clock = Clock(update_every, protocol)
    if policy is not None:
        policy.check_clock(update_every if protocol == "clock" else None, protect_first, protect_recent)
    return Settings(policy, clock, protect_first, protect_recent, selection, attention, tile)


def _check_switched(model: torch.nn.Module, adapter: Adapter) -> None:
    """Transformers only warns when a class has no attention interface; nothing would be pruned, so refuse."""
    current = adapter.current_implementation(model)
    names = set(current.values()) if isinstance(current, dict) else {current}
    if ATTENTION_NAME not in names:
        raise UnsupportedModelError(
            f"{type(model).__name__} does not use transformers' attention interface "
            "(its attention cannot be switched by set_attn_implementation), so nothing would be pruned"
        )
