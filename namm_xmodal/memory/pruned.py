"""`pruned`: a model that forgets, for the length of a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.adapters.table import adapter_by_name, find_adapter
from namm_xmodal.cache import attention as _registered  # noqa: F401  registers the attention and mask functions
from namm_xmodal.cache.clock import Clock
from namm_xmodal.cache.layer import PENDING, Settings
from namm_xmodal.cache.mask import ATTENTION_NAME
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.errors import ConfigError, UnsupportedModelError, UnsupportedOperationError
from namm_xmodal.memory.report import MemoryReport, report_on
from namm_xmodal.policies.protocol import Policy
from namm_xmodal.types import Protocol, Selection

_ROLLS_BACK = ("assistant_model", "prompt_lookup_num_tokens", "use_mtp")


class Memory:
    """A model inside `pruned`: makes caches, generates with them, reports on the last one.

    Attributes:
        model: The model.
        adapter: What is known about its architecture.
        settings: How its caches are pruned.
        last_cache: The cache made last, None before the first.
    """

    def __init__(self, model: torch.nn.Module, adapter: Adapter, settings: Settings) -> None:
        """Used by `pruned`."""
        self.model, self.adapter, self.settings = model, adapter, settings
        self.last_cache: PrunedCache | None = None
        self._rotary = adapter.rotary(model)

    def cache(self) -> PrunedCache:
        """A new, empty cache; pass it as `past_key_values`, and again to continue the same text."""
        self.last_cache = PrunedCache(self.settings, self.adapter.num_layers(self.model), self._rotary)
        return self.last_cache

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """`model.generate` with a pruned cache; arguments and result are the model's own.

        Pass `past_key_values` of an earlier turn to continue it; otherwise a new cache is made.

        Raises:
            UnsupportedOperationError: For decoding that has to roll the cache back.
        """
        asked = [name for name in _ROLLS_BACK if kwargs.get(name)]
        if asked:
            raise UnsupportedOperationError(
                f"generate({asked[0]}=...): assisted decoding rolls the cache back, which eviction makes impossible; "
                "leave it out"
            )
        given = kwargs.pop("past_key_values", None)
        if isinstance(given, PrunedCache):
            self.last_cache = given
        elif given is not None:
            raise UnsupportedOperationError(
                f"generate(past_key_values={type(given).__name__}): expected a cache of this memory (memory.cache())"
            )
        cache = self.cache() if given is None else given
        model: Any = self.model
        return model.generate(*args, past_key_values=cache, **kwargs)

    def report(self) -> MemoryReport:
        """Kept tokens and bytes of the last cache, by layer and head.

        Raises:
            UnsupportedOperationError: If no cache was made yet.
        """
        if self.last_cache is None:
            raise UnsupportedOperationError("report: no cache was made yet; call generate or cache() first")
        policy = self.settings.policy
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
    """Switches a model to attention over a pruned cache, and back when the block ends.

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
    before = found.current_implementation(model)
    switch: Any = model
    switch.set_attn_implementation(found.attention_implementation(model, ATTENTION_NAME))
    try:
        _check_switched(model, found)
        yield Memory(model, found, settings)
    finally:
        PENDING.set(None)  # an interrupted forward may have left a layer waiting for its attention call
        switch.set_attn_implementation(before)


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
