"""`pruned`: a model with a pruned cache, for the length of a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Literal

import torch

from namm_xmodal.adapters.projections import find_projections
from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.adapters.rotary import check_provides
from namm_xmodal.adapters.table import adapter_by_name, find_adapter
from namm_xmodal.cache.clock import Clock
from namm_xmodal.cache.settings import Settings
from namm_xmodal.errors import ConfigError, UnsupportedModelError
from namm_xmodal.memory.blocks import block, switch_of
from namm_xmodal.memory.memory import Memory
from namm_xmodal.policies.criticalkv import with_projections
from namm_xmodal.policies.protocol import ChoosesForLater, Policy
from namm_xmodal.types import PruningSchedule, Selection, plain


@contextmanager
def pruned(
    model: torch.nn.Module,
    policy: Policy | None,
    *,
    update_every: int | None = 512,
    schedule: PruningSchedule = "streaming",
    protect_first: int = 0,
    protect_recent: int = 1,
    selection: Selection = "ragged",
    attention: Literal["auto", "sdpa", "tiled"] = "auto",
    tile: int = 64,
    adapter: Adapter | str | None = None,
) -> Iterator[Memory]:
    """Switches a model to attention over pruned caches, and back when the block ends.

    Every call of the model inside the block is pruned: `model(...)`, `model.generate(...)` and pipelines get a cache of
    their own, an empty `DynamicCache` becomes a pruned one. What cannot be pruned is refused. Blocks may nest, cross
    and run in several threads: a call belongs to the block opened last in its thread, a cache keeps the policy it was
    made with, and the model is restored when its last block closes.

    Args:
        model: A transformers model, in evaluation mode.
        policy: Decides what is kept; None keeps everything.
        update_every: Tokens between updates, counted per batch row from its first real token. A NAMM needs a multiple
            of its hop (16).
        schedule: `streaming`, or `post_prefill` for one update after each forward of several tokens.
        protect_first: Tokens at the start that always stay. Counts towards a budget.
        protect_recent: Newest tokens that always stay. Counts towards a budget; 1, as published for NAMM.
        selection: `ragged`, or `layer_max` as in the published NAMM code.
        attention: Where outputs come from when the policy reads every attention row: `sdpa` (bit-identical to the model
            as long as nothing is evicted), `tiled` (faster: one softmax serves output and policy), or `auto`: `tiled`
            for half precision, `sdpa` for float32 and float64.
        tile: Most attention rows in memory at once.
        adapter: An adapter or its name; found by itself if None.

    Yields:
        The memory, from which caches and reports come.

    Raises:
        UnsupportedModelError: If the model lacks something that pruning or the policy needs; names it.
        BudgetError: If the budget does not hold the protected tokens.
        ClockError: If `update_every` does not fit the policy.

    Example:
        >>> with pruned(model, StreamingLLM(budget=256), update_every=128) as memory:  # doctest: +SKIP
        ...     memory.generate(**inputs, max_new_tokens=32)
    """
    settings = _settings(policy, update_every, schedule, protect_first, protect_recent, selection, attention, tile)
    found = adapter_by_name(adapter) if isinstance(adapter, str) else adapter or find_adapter(model)
    missing = found.missing(model)
    if missing is not None:
        raise UnsupportedModelError(f"{type(model).__name__} cannot be pruned: the model {missing}")
    if policy is not None:
        check_provides(policy.reads, found.rotary(model), type(model).__name__)
        _check_layers(policy, found.num_layers(model), type(model).__name__)
        policy = with_projections(policy, partial(find_projections, found, model))
    switch = switch_of(found.decoder(model))
    memory = Memory(model, found, replace(settings, policy=policy, switch=switch))
    with block(memory, switch):
        yield memory


def _check_layers(policy: Policy, layers: int, model: str) -> None:
    """Refuses a policy whose choosing layer has no later layer."""
    if isinstance(policy, ChoosesForLater) and policy.chooser >= layers - 1:
        raise UnsupportedModelError(
            f"{type(policy).__name__}(layer={policy.chooser + 1}): {model} has {layers} layers, so no layer follows "
            f"it; expected at most {layers - 1}"
        )


def _settings(
    policy: Policy | None,
    update_every: int | None,
    schedule: PruningSchedule,
    protect_first: int,
    protect_recent: int,
    selection: Selection,
    attention: str,
    tile: int,
) -> Settings:
    """Checks the arguments before the model is touched."""
    protect_first, protect_recent, tile = plain(protect_first), plain(protect_recent), plain(tile)
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
    clock = Clock(update_every, schedule)
    if policy is not None:
        policy.check_clock(update_every if schedule == "streaming" else None, protect_first, protect_recent)
    return Settings(policy, clock, protect_first, protect_recent, selection, attention, tile)
