"""Compactor."""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.namm.channels.unrotated_key_novelty import unrotated_keys
from namm_xmodal.policies.neighbours import pooled, side_by_side
from namm_xmodal.policies.pins import check_count, check_number, check_pins, pin
from namm_xmodal.policies.protocol import Observation, Reads, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.selection import budget_tokens
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

RIDGE = 1e-2
"""Added to the diagonal of the keys' products, as in the published code: a head may hold fewer tokens than dimensions."""


@dataclass(frozen=True, kw_only=True)
class Compactor(Budgeted):
    """Keeps keys that no others span, and what is attended to from both sides of the text (arXiv 2507.08143).

    score(s) = blending * z(L(s)) + z(A(s)), z: standardised over the tokens of a layer; infinity for the first `num_sinks`
    and the newest `recent` tokens.
    L(s) = x_s^T (X^T X)^-1 x_s, the leverage of the centred keys X, turned back to position 0.
    A(s) = average over s and its two neighbours of ||v_s|| * sum over queries of the softmax, over the `chunk` cached
    tokens that s stands with, of q . k_s: not scaled, and queries see later tokens as well.

    Deviates: leverage is exact, where the paper estimates it from 48 random combinations of dimensions. The queries are the
    newest `chunk` for all tokens; the paper takes each chunk's own, which would cost more memory than the cache. In a text
    of one chunk they are the same.

    Attributes:
        chunk: Tokens that attend to each other, and queries that are remembered; 256 in the published code.
        blending: Weight of leverage; None for the share that is evicted, 1 - budget, as in kvpress.
        num_sinks: First tokens that always stay; 8 in the published code.
        recent: Newest tokens that always stay; 4 in the published code.
    """

    chunk: int = 256
    blending: float | None = None
    num_sinks: int = 8
    recent: int = 4

    def __post_init__(self) -> None:
        """Refuses an empty chunk, a negative weight and negative counts."""
        super().__post_init__()
        check_count("chunk", self.chunk, 1)
        if self.blending is not None:
            check_number("blending", self.blending, 0)
        check_count("num_sinks", self.num_sinks, 0)
        check_count("recent", self.recent, 0)

    @property
    def reads(self) -> Reads:
        """The newest queries."""
        return Reads(queries=self.chunk)

    def start(self, state: State, shape: LayerShape) -> None:
        """The newest queries."""
        state.add_row_buffer(
            "queries", shape.num_attention_heads, self.chunk, shape.head_dim, narrow=True, window=self.chunk
        )

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers the newest queries."""
        assert tile.queries is not None
        remember(state.row("queries"), tile.queries, tile.first)

    def score(self, observation: Observation) -> Tensor:
        """Leverage and attention, sinks and the newest tokens above: (B, H, S)."""
        positions, seen = observation.positions, observation.seen
        which = observation.live & (positions >= self.num_sinks) & (positions < seen - self.recent)
        leverage = _standardised(_leverage(unrotated_keys(observation), which), which)
        blending = 1 - min(1.0, budget_tokens(self.budget, seen) / seen) if self.blending is None else self.blending
        scores = blending * leverage + _standardised(self._attention(observation, which), which)
        return pin(scores, observation, first=self.num_sinks, recent=self.recent)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """A budget in tokens must hold the sinks and the newest tokens."""
        super().check_clock(update_every, protect_first, protect_recent)
        what = f"num_sinks={self.num_sinks} and recent={self.recent}"
        check_pins(self.budget, (protect_first, protect_recent), first=self.num_sinks, recent=self.recent, what=what)

    def _attention(self, observation: Observation, which: Tensor) -> Tensor:
        """(B, H, S): what the newest queries give within each chunk, weighted by value lengths and pooled."""
        seen, heads = observation.seen, which.shape[1]
        queries = recall(observation.state.row("queries"), seen)  # (B, Hq, m, D)
        place = torch.arange(seen - queries.shape[2], seen, device=queries.device)
        voters = (place >= self.num_sinks) & (place < seen - self.recent)
        queries = queries[:, :, voters].unflatten(1, (heads, -1))  # (B, H, G, n, D)
        order, total = side_by_side(which), which.new_zeros(which.shape, dtype=torch.float32)
        packed, counts = observation.keys.float().gather(2, _wide(order, observation.keys)), which.sum(-1)
        for start in range(0, which.shape[-1], self.chunk):
            keys = packed[:, :, None, start : start + self.chunk]  # (B, H, 1, c, D)
            real = torch.arange(start, start + keys.shape[3], device=order.device) < counts[..., None]  # (B, H, c)
            logits = (queries @ keys.transpose(-1, -2)).masked_fill(~real[:, :, None, None], torch.finfo().min)
            total[..., start : start + self.chunk] = logits.softmax(-1).sum(3).mean(2)
        received = torch.zeros_like(total).scatter(-1, order, total)
        received = received * torch.linalg.vector_norm(observation.values.float(), dim=-1)
        return pooled(received, which, partial(F.avg_pool1d, kernel_size=3, stride=1, padding=1))


def _leverage(keys: Tensor, which: Tensor) -> Tensor:
    """(B, H, S): how far each key lies out of what the others span, 0 to 1; keys (B, H, S, D) of `which` count."""
    chosen = which[..., None]
    # Double precision: the products of long, nearly parallel keys have few digits left in single precision.
    keys = keys.double().masked_fill(~chosen, 0.0)
    centred = (keys - keys.sum(2, keepdim=True) / chosen.sum(2, keepdim=True).clamp(min=1)).masked_fill(~chosen, 0.0)
    products = centred.transpose(-1, -2) @ centred
    products = products + RIDGE * torch.eye(products.shape[-1], dtype=products.dtype, device=products.device)
    solved: Tensor = torch.linalg.solve(products, centred.transpose(-1, -2))  # (B, H, D, S)
    return (solved.transpose(-1, -2) * centred).sum(-1).float()


def _standardised(numbers: Tensor, which: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over the tokens of `which` of all heads of a batch row: (B, H, S)."""
    count = which.sum((1, 2), keepdim=True)
    mean = numbers.masked_fill(~which, 0.0).sum((1, 2), keepdim=True) / count.clamp(min=1)
    centred = (numbers - mean).masked_fill(~which, 0.0)
    variance = centred.square().sum((1, 2), keepdim=True) / (count - 1).clamp(min=1)
    return centred / variance.sqrt().clamp(min=1e-6)


def _wide(order: Tensor, vectors: Tensor) -> Tensor:
    return order[..., None].expand(-1, -1, -1, vectors.shape[-1])
