"""A toy layer for `check_policy`: random text and the engine's order of events, without engine code."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from namm_xmodal.policies.choice import checked_keep, checked_scores
from namm_xmodal.policies.protocol import ALL_ROWS, Candidates, Observation, Policy, Rotary, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

POISON = 1e4
"""What dead slots are filled with to show that nobody looks at them."""


@dataclass(frozen=True)
class Text:
    """Random queries, keys and values of T tokens, and the tokens that are evicted whatever the policy says.

    Attributes:
        queries: (B, Hq, T, D).
        keys: (B, H, T, D).
        values: (B, H, T, D).
        thinned: (B, H, T) bool, other tokens in every head, so that heads become ragged under any policy.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    thinned: Tensor

    @classmethod
    def random(cls, batch: int, shape: LayerShape, tokens: int, seed: int) -> "Text":
        """Draws a text; keys have a common direction, as real ones do, and attention is far from uniform."""
        source = torch.Generator().manual_seed(seed)
        heads, width = shape.num_key_value_heads, shape.head_dim
        queries = torch.randn(batch, shape.num_attention_heads, tokens, width, generator=source) * 2
        keys, values = torch.randn(2, batch, heads, tokens, width, generator=source) + 0.5
        share = 0.1 + 0.3 * torch.rand(batch, heads, 1, generator=source)
        thinned = torch.rand(batch, heads, tokens, generator=source) < share
        return cls(queries, keys, values, thinned)

    def of_rows(self, rows: list[int]) -> "Text":
        """The texts of some batch rows."""
        return Text(self.queries[rows], self.keys[rows], self.values[rows], self.thinned[rows])

    def to(self, dtype: torch.dtype) -> "Text":
        """In another precision."""
        return Text(self.queries.to(dtype), self.keys.to(dtype), self.values.to(dtype), self.thinned)


@dataclass(frozen=True)
class Outcome:
    """One update: what the policy returned, and the same by position, where runs with other slots can be compared.

    Attributes:
        seen: Tokens seen.
        candidates: What there was to choose from, by slot.
        scores: (B, H, S).
        keep: (B, H, S) what the policy chose.
        live: (B, H, T) bool.
        score_at: (B, H, T), 0 where nothing lives.
        keep_at: (B, H, T) bool.
        stays_at: (B, H, T) bool, what stayed after thinning.
    """

    seen: int
    candidates: Candidates
    scores: Tensor
    keep: Tensor
    live: Tensor
    score_at: Tensor
    keep_at: Tensor
    stays_at: Tensor


@dataclass
class Trial:
    """Runs a policy over a text.

    Attributes:
        policy: The policy.
        shape: Sizes of the layer.
        text: What it sees.
        update_every: Tokens between updates.
        protect: First and most recent tokens that stay.
        rotary: The layer's rotary embedding, or None.
        chunk: Tokens that arrive at once, None for whole intervals.
        tile: Attention rows that are handed over at once, None for whole chunks.
        everything: Hand over every row, also where the policy asked for the last ones only (the engine may).
        poison: Fill dead slots with large numbers after every update.
        apart: Let the policy watch one kv head at a time, as the engine does where heads are stored apart.
        release: Give buffers with a window back after every update, as the engine does.
        compact: Move survivors to the front, as the engine does, instead of leaving dead slots where they are.
        replay: Evict what this earlier run evicted.
        outcomes: One entry for each update so far.
    """

    policy: Policy
    shape: LayerShape
    text: Text
    update_every: int
    protect: tuple[int, int]
    rotary: Rotary | None = None
    chunk: int | None = None
    tile: int | None = None
    everything: bool = False
    poison: bool = False
    apart: bool = False
    release: bool = False
    compact: bool = True
    replay: list[Outcome] | None = None
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Starts with an empty layer."""
        batch, heads, _, width = self.text.keys.shape
        self.keys, self.values = self.text.keys.new_empty(2, batch, heads, 0, width)
        self.positions = torch.empty(batch, heads, 0, dtype=torch.long)
        self.seen = 0
        self.state = State(batch, heads, 0, torch.device("cpu"))
        self.policy.start(self.state, self.shape)

    def run(self, updates: int) -> "Trial":
        """Goes on for some updates."""
        for _ in range(updates):
            end = self.seen + self.update_every
            size = self.chunk or self.update_every
            for start in range(self.seen, end, size):
                self._take(start, min(end, start + size), end)
            self._update()
        return self

    def reorder(self, rows: list[int]) -> None:
        """Goes on with other rows, as beam search does."""
        index = torch.tensor(rows)
        self.text = self.text.of_rows(rows)
        self.keys, self.values, self.positions = self.keys[index], self.values[index], self.positions[index]
        self.state.map_rows(lambda buffer: buffer[index])

    def observation(self) -> Observation:
        """The layer as it is."""
        live = self.positions >= 0
        scaling = self.shape.head_dim**-0.5
        return Observation(
            self.keys, self.values, self.positions, live, self.seen, self.state, self.shape, scaling, self.rotary
        )

    def by_position(self, slots: Tensor) -> Tensor:
        """(B, H, S) or (B, H, C, S) -> the same by position, (..., T); zero where nothing lives."""
        tokens = self.text.keys.shape[2]
        place = self.positions.masked_fill(self.positions < 0, tokens)
        if slots.ndim == 4:
            place = place[:, :, None].expand(slots.shape)
        found = slots.new_zeros(*slots.shape[:-1], tokens + 1).scatter(-1, place, slots)
        return found[..., :-1]

    def evict(self, keep: Tensor) -> None:
        """Leaves only the slots of `keep` (B, H, S) bool alive."""
        if not self.compact:
            self.positions = self.positions.masked_fill(~keep, -1)
            return
        order = keep.byte().argsort(dim=-1, descending=True, stable=True)[..., : int(keep.sum(-1).max())]
        wide = order[..., None].expand(-1, -1, -1, self.shape.head_dim)
        self.keys, self.values = self.keys.gather(2, wide), self.values.gather(2, wide)
        self.positions = self.positions.masked_fill(~keep, -1).gather(-1, order)
        self.state.gather(order)

    def _take(self, start: int, stop: int, end: int) -> None:
        """Tokens [start, stop) arrive and attend; the next update is at `end`."""
        new = torch.arange(start, stop).expand(*self.positions.shape[:2], -1)
        self.positions = torch.cat([self.positions, new], -1)
        self.keys = torch.cat([self.keys, self.text.keys[:, :, start:stop]], 2)
        self.values = torch.cat([self.values, self.text.values[:, :, start:stop]], 2)
        self.state.grow(stop - start)
        self.seen = stop
        reads = self.policy.reads
        if not reads.anything:
            return
        wanted = self.update_every if reads.rows == ALL_ROWS or self.everything else max(reads.rows, reads.queries)
        size = self.tile or stop - start
        for first in range(max(start, end - wanted), stop, size):
            last = min(stop, first + size)
            rows = self._attention(first, last) if reads.rows else None
            queries = self.text.queries[:, :, first:last] if reads.queries else None
            if rows is None or not self.apart or not self.state.may_part(rows=True, queries=queries is not None):
                self.policy.observe(self.state, Tile(first, rows, queries))
                continue
            heads = range(rows.shape[1])
            parts = [self.state.of_heads((head,), rows=False) for head in heads]
            for head, part in enumerate(parts):
                self.policy.observe(part, Tile(first, rows[:, head : head + 1], None))
            self.state = parts[0].of_lanes(parts[1:], [[head] for head in heads])

    def _attention(self, first: int, last: int) -> Tensor:
        """(B, H, Q, V) rows of queries [first, last) over the slots that existed when the last of them came."""
        reach = self.positions.shape[-1] - (self.seen - last)
        grouped = self.text.queries[:, :, first:last].float().unflatten(1, (self.keys.shape[1], -1))  # (B, H, G, Q, D)
        logits = grouped @ self.keys[:, :, None, :reach].float().transpose(-1, -2) * self.shape.head_dim**-0.5
        slots = self.positions[:, :, None, :reach]
        hidden = (slots < 0) | (slots > torch.arange(first, last)[:, None])  # (B, H, Q, V)
        weights: Tensor = logits.masked_fill(hidden[:, :, None], float("-inf")).softmax(-1)
        return weights.mean(2)

    def _update(self) -> None:
        live = self.positions >= 0
        first, recent = self.protect
        protected = live & ((self.positions < first) | (self.positions >= self.seen - recent))
        candidates = Candidates(live, protected, self.seen, self.shape)
        scores = checked_scores(self.policy, self.observation())
        keep = checked_keep(self.policy, scores, candidates)
        thinned = self.text.thinned.gather(-1, self.positions.clamp(min=0))
        stays = (keep & live & ~thinned) | protected
        if self.replay is not None:
            earlier = self.replay[len(self.outcomes)].stays_at
            stays = live & earlier.gather(-1, self.positions.clamp(min=0))
        known = scores.float().masked_fill(~live, 0.0)
        where = [self.by_position(slots) for slots in (live, known, keep & live, stays)]
        self.evict(stays)
        if self.release:
            self.state.release(self.update_every)
        self.outcomes.append(Outcome(self.seen, candidates, scores, keep, *where))
        if self.poison:
            dead = self.positions < 0
            self.keys = self.keys.masked_fill(dead[..., None], POISON)
            self.values = self.values.masked_fill(dead[..., None], POISON)
            for name in self.state._token:
                self.state.token(name).masked_fill_(dead[:, :, None], POISON)
