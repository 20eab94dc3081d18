"""Bookkeeping of open blocks: the first on a model switches it, the last restores it, and each call belongs to one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.cache import attention as _registered  # noqa: F401  registers the attention and mask functions
from namm_xmodal.cache.mask import ATTENTION_NAME
from namm_xmodal.cache.pending import forget
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.cache.switch import Switch
from namm_xmodal.errors import UnsupportedModelError, UnsupportedOperationError
from namm_xmodal.memory.memory import Memory
from namm_xmodal.memory.supply import CacheSupply

_SWITCHES: WeakKeyDictionary[torch.nn.Module, Switch] = WeakKeyDictionary()
_ENTERED: ContextVar[tuple[Memory, ...]] = ContextVar("namm_xmodal_entered_blocks", default=())
"""Open blocks of this thread or task, of any model, oldest first."""


def switch_of(decoder: torch.nn.Module) -> Switch:
    """The switch of the model that a decoder belongs to, however the model is wrapped."""
    return _SWITCHES.setdefault(decoder, Switch())


@contextmanager
def block(memory: Memory, switch: Switch) -> Iterator[None]:
    """Keeps a model switched; blocks may nest, close in any order and run in several threads.

    Raises:
        UnsupportedModelError: If the model's attention cannot be switched.
    """
    switch.open(memory, partial(_turn_on, memory.model, memory.adapter, switch))
    _ENTERED.set((*_ENTERED.get(), memory))
    try:
        yield
    finally:
        forget()  # an interrupted forward may have left a layer waiting for its attention call
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


def _new_cache(switch: Switch, once: bool) -> PrunedCache:
    """A cache for a call that came without one.

    Args:
        switch: Of the model.
        once: The call says `use_cache=False` and will not continue with it.

    Raises:
        UnsupportedOperationError: If it cannot be known which block is meant, or nothing would ever be pruned.
    """
    here = [memory for memory in _ENTERED.get() if memory in switch.blocks]
    if not here and len(switch.blocks) > 1:
        raise UnsupportedOperationError(
            f"{len(switch.blocks)} pruned blocks are open on this model, none of them in this thread; pass "
            "past_key_values=memory.cache() of the intended one"
        )
    memory: Memory = here[-1] if here else switch.blocks[0]
    if once and memory.settings.clock.schedule == "post_prefill":
        raise UnsupportedOperationError(
            "use_cache=False with schedule='post_prefill': a cache pruned after the forward would never be read; set "
            "use_cache=True in the call (or in the model's generation_config and config)"
        )
    cache = memory.cache()
    cache.once = once
    return cache


def _check_switched(model: torch.nn.Module, adapter: Adapter) -> None:
    """Refuses classes without an attention interface, for which transformers only warns and nothing would be pruned."""
    if ATTENTION_NAME not in _names(adapter.current_implementation(model)):
        raise UnsupportedModelError(
            f"{type(model).__name__} does not use transformers' attention interface "
            "(its attention cannot be switched by set_attn_implementation), so nothing would be pruned"
        )


def _names(implementation: str | dict[str, Any]) -> set[str]:
    """The attention of a model and of its parts."""
    if isinstance(implementation, str):
        return {implementation}
    return set().union(*map(_names, implementation.values()))
