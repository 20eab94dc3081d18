"""Contract checks for adapters; run them on your own adapter with a small model of its kind."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.cache.oracle import ORACLE_NAME, masked_attention, recording, visibility_of
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.errors import ContractError
from namm_xmodal.memory import Memory, pruned
from namm_xmodal.policies.adakv import AdaKV
from namm_xmodal.policies.protocol import Rotary
from namm_xmodal.policies.random import RandomEviction
from namm_xmodal.policies.rotation import rotate, unrotate

_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Largest difference to the oracle, relative to the largest output. Rounding grows in deep models that lose their
sinks: 2e-5 in float32 on SmolLM2-135M, where float64 agrees to 1e-10."""
_SHIFT = 7
"""Positions by which a text is moved to see how the model turns its keys."""


def check_adapter(adapter: Adapter, model: torch.nn.Module, inputs: Mapping[str, Any]) -> None:
    """Checks an adapter on a model and raises on the first clause of the contract that it breaks.

    The clauses: *methods*, *missing*, *switch*, *decoder*, *restore*, *layers*, *full cache*, *token kinds*, *rotary*,
    *oracle*.

    Args:
        adapter: The adapter.
        model: A model that it is made for, in evaluation mode, float32 or float64; random weights are enough.
        inputs: What `adapter.forward` takes: one text or a batch, at least 8 tokens.

    Raises:
        ContractError: With the name of the clause and what was found.
    """
    name = type(adapter).__name__
    _hold(name, "methods", isinstance(adapter, Adapter), "it lacks a method or the name of the Adapter protocol")
    missing = adapter.missing(model)
    _hold(name, "missing", missing is None, f"{type(model).__name__} {missing}")
    tables, layers = adapter.rotary(model), adapter.num_layers(model)
    _hold(name, "rotary", len(tables) == layers, f"{len(tables)} tables for {layers} layers")
    before = _implementations(model)
    with torch.no_grad():
        stock = adapter.forward(model, inputs, _stock_cache(adapter, model))
        with pruned(model, None, adapter=adapter) as memory:
            cache = memory.cache()
            switched = {part for part, how in _implementations(model).items() if how != before[part]}
            with _reached(model, cache) as reached:
                output = _forward(name, memory, inputs, cache)
        _hold(
            name,
            "restore",
            _implementations(model) == before,
            "the attention implementation is not restored after the context",
        )
        strangers = sorted(switched - reached)
        _hold(name, "switch", not strangers, f"it switched {', '.join(strangers)}, which does not use the cache")
        decoder = adapter.decoder(model)
        part = next(path or "the model" for path, module in model.named_modules() if module is decoder)
        _hold(
            name, "decoder", part in reached, f"{part} is named as the part that takes the cache, but never receives it"
        )
        empty = [layer.layer for layer in cache.pruned if layer.keys is None]
        _hold(name, "layers", not empty, f"num_layers={len(cache.pruned)}, but layers {empty} were never filled")
        kinds = adapter.token_kinds(model, inputs)
        config: Any = decoder.config
        same = torch.equal if config._attn_implementation == "sdpa" else _close_where(kinds)
        holds = output.shape == stock.shape and same(output, stock)
        _hold(name, "full cache", holds, "a cache that keeps everything changes the output")
        _check_kinds(name, kinds, cache)
        _check_rotary(name, adapter, model, inputs, cache)
        _check_oracle(name, adapter, model, inputs, kinds, cache.pruned[0].seen)
    _hold(
        name,
        "restore",
        _implementations(model) == before,
        "the attention implementation is not restored after the context",
    )


def _stock_cache(adapter: Adapter, model: torch.nn.Module) -> DynamicCache:
    """The cache that transformers makes for a model: hybrid ones keep states beside keys and values."""
    config: Any = adapter.decoder(model).config
    return DynamicCache(config=config)


def _forward(name: str, memory: Memory, inputs: Mapping[str, Any], cache: PrunedCache) -> Tensor:
    try:
        return memory.adapter.forward(memory.model, inputs, cache)
    except IndexError as error:
        raise ContractError(
            f"{name} breaks the clause 'layers': num_layers={len(cache.pruned)}, but the model uses more ({error})"
        ) from error


def _implementations(model: torch.nn.Module) -> dict[str, str]:
    """The attention of every part of a model that can be switched on its own."""
    found = {}
    for part, module in model.named_modules():
        if hasattr(module, "set_attn_implementation"):
            config: Any = module.config
            found[part or "the model"] = str(config._attn_implementation)
    return found


@contextmanager
def _reached(model: torch.nn.Module, cache: PrunedCache) -> Iterator[set[str]]:
    """Collects the names of the parts that contain an attention module to which the cache was handed."""
    reached: set[str] = set()

    def see(path: str) -> Any:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if any(value is cache for value in (*args, *kwargs.values())):
                reached.add("the model")
                reached.update(path.rsplit(".", cut)[0] for cut in range(path.count(".") + 1))

        return hook

    handles = [
        module.register_forward_pre_hook(see(path), with_kwargs=True) for path, module in model.named_modules() if path
    ]
    try:
        yield reached
    finally:
        for handle in handles:
            handle.remove()


def _check_kinds(name: str, kinds: list[list[str]], cache: PrunedCache) -> None:
    batch, seen = cache.pruned[0].index.shape[0], cache.pruned[0].seen
    lengths = [len(row) for row in kinds]
    _hold(name, "token kinds", lengths == [seen] * batch, f"{lengths} token kinds for {batch} rows of {seen} tokens")
    real = [sum(kind != "padding" for kind in row) for row in kinds]
    seen_by = list(cache.pruned[0].tokens_seen)
    _hold(name, "token kinds", real == seen_by, f"{real} tokens are not padding, but the cache counted {seen_by}")


def _check_rotary(
    name: str, adapter: Adapter, model: torch.nn.Module, inputs: Mapping[str, Any], cache: PrunedCache
) -> None:
    """Tables have the right shape, turn back what they turned, and turn as the model does."""
    tables = adapter.rotary(model)
    if all(table is None for table in tables):
        return
    count, (batch, heads, _) = cache.pruned[0].seen, cache.pruned[0].index.shape
    positions = inputs.get("position_ids")
    if positions is None:
        positions = torch.arange(count, device=cache.pruned[0].index.device).expand(batch, -1)
    if positions.shape != (batch, count):
        return  # positions of several axes: only the architecture knows how to move them
    with pruned(model, None, adapter=adapter) as memory:
        moved = memory.cache()
        adapter.forward(model, {**inputs, "position_ids": positions + _SHIFT}, moved)
    for table, layer, other in zip(tables, cache.pruned, moved.pruned, strict=True):
        if table is None:
            continue
        assert layer.keys is not None
        assert other.keys is not None
        followed = not torch.equal(layer.keys, other.keys)
        _hold(
            name,
            "rotary",
            followed,
            "forward does not pass position_ids on to the model: its keys do not turn with them",
        )
        cosines, sines = table(positions[0])
        width = cosines.shape[-1]
        fits = cosines.shape == sines.shape == (count, width) and width <= layer.keys.shape[-1] and width % 2 == 0
        _hold(
            name,
            "rotary",
            fits,
            f"tables {tuple(cosines.shape)} for {count} positions of {layer.keys.shape[-1]} dimensions",
        )
        vectors = torch.randn(heads, count, layer.keys.shape[-1], generator=torch.Generator().manual_seed(0))
        vectors = vectors.to(cosines.device)
        back = rotate(unrotate(vectors, cosines, sines), cosines, sines)
        _hold(name, "rotary", torch.allclose(back, vectors, atol=1e-4), "rotating forth and back is not the identity")
        for row in range(batch):
            real = layer.live[row, 0]
            here = _unturned(table, layer.keys[row], positions[row])[:, real]
            there = _unturned(table, other.keys[row], positions[row] + _SHIFT)[:, real]
            change = float((here - there).abs().max() / here.abs().max())
            found = (
                f"keys of layer {layer.layer} with rotation undone change by {change:.1e} if the text is shifted by "
                f"{_SHIFT}"
            )
            _hold(name, "rotary", change < 1e-3, found)


def _unturned(table: Rotary, keys: Tensor, positions: Tensor) -> Tensor:
    cosines, sines = table(positions)
    return unrotate(keys.float(), cosines.float(), sines.float())


def _check_oracle(
    name: str,
    adapter: Adapter,
    model: torch.nn.Module,
    inputs: Mapping[str, Any],
    kinds: list[list[str]],
    seen: int,
) -> None:
    """Eviction equals full attention in which what was evicted is masked."""
    policy = AdaKV(base=RandomEviction(seed=1), budget=0.5)  # another number of tokens in every head
    before = adapter.current_implementation(model)
    with pruned(model, policy, update_every=max(1, seen // 4), adapter=adapter) as memory:
        cache = recording(memory.cache())
        output = adapter.forward(model, inputs, cache)
    _hold(
        name,
        "oracle",
        not any(layer.untouched for layer in cache.pruned),
        "with a budget of one half, some layers evicted nothing",
    )
    oracle = adapter.attention_implementation(model, ORACLE_NAME)
    with masked_attention(model, visibility_of(cache), switch=oracle, restore=before):
        expected = adapter.forward(model, inputs, _stock_cache(adapter, model))
    shapes = f"outputs {tuple(output.shape)} with and {tuple(expected.shape)} without eviction"
    _hold(name, "oracle", output.shape == expected.shape, shapes)
    difference = (output - expected).abs()
    if output.shape[1] == seen:
        difference = difference[torch.tensor([[kind != "padding" for kind in row] for row in kinds])]
    relative = float(difference.max() / expected.abs().max())
    most = _TOLERANCE.get(output.dtype, 5e-2)
    _hold(
        name,
        "oracle",
        relative <= most,
        f"relative difference {relative:.1e} to masked full attention, allowed {most:g}",
    )


def _close_where(kinds: list[list[str]]) -> Callable[[Tensor, Tensor], bool]:
    """Compares outputs up to rounding; those of padding only count where there is no other choice."""
    real = torch.tensor([[kind != "padding" for kind in row] for row in kinds])

    def close(output: Tensor, expected: Tensor) -> bool:
        difference = (output - expected).abs()
        difference = difference[real] if output.shape[:2] == real.shape else difference
        return float(difference.max() / expected.abs().max()) <= _TOLERANCE.get(output.dtype, 5e-2)

    return close


def _hold(name: str, clause: str, holds: bool, found: str) -> None:
    if not holds:
        raise ContractError(f"{name} breaks the clause '{clause}': {found}")
