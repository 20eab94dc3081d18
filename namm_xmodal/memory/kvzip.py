"""KVzip: prunes a text once, keeping what the model needs to repeat it, for any number of questions."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.cache.clock import Clock
from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.errors import DataError, UnsupportedOperationError
from namm_xmodal.memory.memory import Memory
from namm_xmodal.policies.full import FullCache
from namm_xmodal.policies.pins import check_count
from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.selection import budget_tokens, check_budget, keep_best
from namm_xmodal.policies.state import State
from namm_xmodal.types import Budget, LayerShape

_FIRST = "\n\nRepeat the previous context exactly.\n"
_NEXT = "\n\nRepeat the part of the previous context exactly, starting with"
_LAST_WORDS = 8
"""Tokens of the chunk before that say where to go on."""

_QUERIES = 256
"""Attention rows in memory at once."""


@torch.no_grad()
def kvzip(
    memory: Memory,
    input_ids: Tensor,
    tokenizer: Any,
    *,
    budget: Budget = 0.3,
    chunk: int = 2048,
    num_sinks: int = 4,
) -> PrunedCache:
    """Reads a text and keeps what the model attends to while it repeats it (KVzip, arXiv 2505.23416).

    After the whole text, the model is told to repeat it, `chunk` tokens at a time. The score of a token is the most
    attention that any query of the instruction and the repetition gives it, in any query head that shares the kv head;
    the softmax is over the first `num_sinks` tokens, the chunk, and what was said since the text. Tokens of all layers
    and heads compete for the budget. Then the repetition is forgotten, and the cache continues the text. Ask
    `fork(cache)`, as often as needed; nothing more is evicted.

    Deviates: the published instruction stands in the model's chat template; here it is bare, as on models without one.
    At least the protected tokens of `pruned` stay in every head. Layers with a sliding window keep their window, which
    the budget does not count.

    Args:
        memory: Of `pruned(model, None)`.
        input_ids: (B, T), without padding.
        tokenizer: The model's, for the instruction.
        budget: Tokens, or a fraction of the T tokens, that remain per layer and head on average.
        chunk: Tokens that are repeated at once; 2048 in the published code.
        num_sinks: First tokens, which always stay.

    Returns:
        The cache of the text, of which `memory.report()` tells the sizes.

    Raises:
        UnsupportedOperationError: If the memory has a policy, which would prune while it reads.
        DataError: If there is nothing to read.
        BudgetError: If the budget is impossible, or does not hold the sinks and the protected tokens.
    """
    settings = memory.settings
    if settings.policy is not None:
        raise UnsupportedOperationError(
            f"kvzip: the memory prunes with {type(settings.policy).__name__}; expected the memory of pruned(model, None)"
        )
    if input_ids.ndim != 2 or input_ids.shape[1] == 0:
        raise DataError(f"input_ids of shape {tuple(input_ids.shape)}: expected (rows, tokens), one token or more")
    check_count("chunk", chunk, 1)
    check_count("num_sinks", num_sinks, 0)
    check_budget(budget, max(num_sinks, settings.protect_first), settings.protect_recent)
    cache, length = memory.cache(), input_ids.shape[1]
    memory.adapter.forward(memory.model, {"input_ids": input_ids}, cache)
    found = [torch.zeros(layer.index.shape, device=layer.index.device) for layer in cache.pruned]  # (B, H, T) each
    for (start, end), said in _repetitions(input_ids, tokenizer, chunk):
        watcher = Repetition(chunk=(start, end), length=length, said=said.shape[1], num_sinks=num_sinks)
        memory.adapter.forward(memory.model, {"input_ids": said}, _watched_by(watcher, cache))
        for layer, received in watcher.received.items():
            found[layer][..., start:end] = received
    first = max(num_sinks, settings.protect_first)
    for received in found:
        received[..., :first] = torch.inf
        received[..., max(0, length - settings.protect_recent) :] = torch.inf
    _evict(cache, found, budget_tokens(budget, length))
    for layer in cache.pruned:
        layer.settings = layer.settings.frozen("KVzip")
    memory.last_cache = cache
    return cache


@dataclass(frozen=True, kw_only=True, eq=False)
class Repetition(FullCache):
    """Keeps everything and records how much attention a chunk of the text receives from tokens after the text.

    Attributes:
        chunk: First token of the chunk, and one past its last.
        length: Tokens of the text.
        said: Tokens since the end of the text.
        num_sinks: First tokens of the text, over which the softmax goes as well.
        received: Layer -> (B, H, chunk), after the forward; layers with a window have none.
    """

    chunk: tuple[int, int]
    length: int
    said: int
    num_sinks: int
    received: dict[int, Tensor] = field(default_factory=dict)

    @property
    def reads(self) -> Reads:
        """The queries since the end of the text."""
        return Reads(queries=self.said)

    def start(self, state: State, shape: LayerShape) -> None:
        """The queries since the end of the text."""
        state.add_row_buffer("queries", shape.num_attention_heads, self.said, shape.head_dim)

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers queries."""
        assert tile.queries is not None
        remember(state.row("queries"), tile.queries, tile.first)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Lets the engine ask for scores."""
        return True

    def score(self, observation: Observation) -> Tensor:
        """Notes the most attention that any query gives to each token of the chunk; (B, H, S) zeros."""
        begin, end = self.chunk
        sinks = min(self.num_sinks, begin)
        keys, heads = observation.keys.float(), observation.keys.shape[1]
        keys = torch.cat([keys[:, :, :sinks], keys[:, :, begin:end], keys[:, :, self.length :]], dim=2)
        queries = recall(observation.state.row("queries"), observation.seen).unflatten(1, (heads, -1))
        older, place = sinks + end - begin, torch.arange(keys.shape[2], device=keys.device)
        found = keys.new_zeros(*keys.shape[:2], end - begin)
        for start in range(0, self.said, _QUERIES):
            block = queries[:, :, :, start : start + _QUERIES]  # (B, H, G, n, D)
            logits = block @ keys[:, :, None].transpose(-1, -2) * observation.scaling
            newest = older + start + torch.arange(block.shape[3], device=keys.device)[:, None]  # (n, 1): itself
            shares = logits.masked_fill(place > newest, -torch.inf).softmax(-1)[..., sinks:older]
            found = torch.maximum(found, shares.amax((2, 3)))
        self.received[observation.shape.layer] = found
        return super().score(observation)


def _repetitions(text: Tensor, tokenizer: Any, chunk: int) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """(first token, one past the last) of each chunk, and the instruction followed by the chunk: (B, n)."""
    for start in range(0, text.shape[1], chunk):
        end = min(text.shape[1], start + chunk)
        words = tokenizer.encode(_NEXT if start else _FIRST, add_special_tokens=False)
        instruction = torch.tensor([words], dtype=text.dtype, device=text.device).expand(text.shape[0], -1)
        yield (start, end), torch.cat([instruction, text[:, max(0, start - _LAST_WORDS) : end]], dim=1)


def _watched_by(policy: Repetition, cache: PrunedCache) -> PrunedCache:
    """A copy of a cache of which one forward will be shown to a policy."""
    copy = fork(cache)
    for layer in copy.pruned:
        (lane,) = layer.lanes  # nothing was evicted, so no head is stored apart
        assert lane.state is not None and layer.shape is not None
        if layer.window is None:  # what lies outside a window gets no attention, whatever it is worth
            layer.settings = replace(layer.settings, policy=policy, clock=Clock(None, "post_prefill"))
            policy.start(lane.state, layer.shape)
    return copy


def _evict(cache: PrunedCache, scores: list[Tensor], count: int) -> None:
    """Keeps `count` tokens per layer and head on average, the best of all together; in layers with a window, the window.

    Args:
        cache: That of the text, from which nothing was evicted.
        scores: (B, H, T) of each layer; infinity for what stays.
        count: Tokens.
    """
    windows = [layer.window for layer in cache.pruned]
    whole = [number for number, window in enumerate(windows) if window is None]
    for layer, window in zip(cache.pruned, windows, strict=True):
        if window is not None:
            layer.evict(layer.index >= layer.seen - window)
    if not whole:
        return
    shape = cache.pruned[whole[0]].shape
    assert shape is not None
    device = scores[whole[0]].device  # the layers of a model may lie on several
    joint = torch.stack([scores[number].to(device) for number in whole], dim=-1)  # (B, H, T, L)
    flat = joint.transpose(1, 2).flatten(1)[:, None]  # (B, 1, T * H * L): ties go to the newest
    candidates = Candidates(torch.ones_like(flat, dtype=torch.bool), flat.isposinf(), joint.shape[2], shape)
    keep = keep_best(flat, candidates, count * joint.shape[1] * len(whole))
    keep = keep.view(joint.transpose(1, 2).shape).transpose(1, 2)  # (B, H, T, L)
    for place, number in enumerate(whole):
        cache.pruned[number].evict(keep[..., place].to(scores[number].device))
