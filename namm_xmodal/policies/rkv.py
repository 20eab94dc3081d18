"""R-KV."""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.neighbours import pooled
from namm_xmodal.policies.pins import check_count, check_number, check_odd, check_pins, pin
from namm_xmodal.policies.protocol import Observation, Reads, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

BLOCK = 2**20
"""Most similarities in memory at once."""


@dataclass(frozen=True, kw_only=True)
class RKV(Budgeted):
    """Keeps what the newest queries attend to and no other key repeats, and these newest tokens (arXiv 2505.24133).

    score(s) = `mix` * I(s) - (1 - `mix`) * R(s); infinity for the newest `window` tokens.
    I(s): the largest, among `kernel` neighbours of s, of the mean over the window's queries of the softmax, over the tokens
    before the window, of the largest logit among the query heads that share the kv head.
    R(s): softmax over all cached tokens of the mean cosine of k_s to every key; the cosine to itself counts as 0, and so
    does that of each key to the newest one more than `threshold` like it, which lets the newest of several copies stay.

    Deviates: `mix` is 0.1 as in the paper (0.07 in the published code). A key that is like no other spares none; the
    published code then spares the first token.

    Attributes:
        window: Newest queries that vote, and newest tokens that stay; 8 in the paper.
        kernel: Tokens that are pooled, an odd number; 7 in the published code.
        mix: Weight of attention against redundancy; 0.1 in the paper.
        threshold: Cosine from which keys count as alike; 0.5 in the published code.
    """

    window: int = 8
    kernel: int = 7
    mix: float = 0.1
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuses an empty window, an even kernel, and weights and cosines out of range."""
        super().__post_init__()
        check_count("window", self.window, 1)
        check_odd("kernel", self.kernel)
        check_number("mix", self.mix, 0, 1)
        check_number("threshold", self.threshold, -1, 1)

    @property
    def reads(self) -> Reads:
        """The queries of the window."""
        return Reads(queries=self.window)

    def start(self, state: State, shape: LayerShape) -> None:
        """The queries of the window."""
        state.add_row_buffer(
            "queries", shape.num_attention_heads, self.window, shape.head_dim, narrow=True, window=self.window
        )

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers the newest queries."""
        assert tile.queries is not None
        remember(state.row("queries"), tile.queries, tile.first)

    def score(self, observation: Observation) -> Tensor:
        """Attention against redundancy, the window above all: (B, H, S)."""
        keys = observation.keys.float().masked_fill(~observation.live[..., None], 0.0)
        redundancy = mean_similarity(keys, observation.live, self.threshold)
        redundancy = redundancy.masked_fill(~observation.live, -torch.inf).softmax(-1)
        scores = self.mix * self._attention(observation, keys) - (1 - self.mix) * redundancy
        return pin(scores, observation, recent=self.window)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """A budget in tokens must hold the window."""
        super().check_clock(update_every, protect_first, protect_recent)
        what = f"window={self.window}"
        check_pins(self.budget, (protect_first, protect_recent), recent=self.window, what=what)

    def _attention(self, observation: Observation, keys: Tensor) -> Tensor:
        """What the window's queries give to the tokens before it, the largest among neighbours: (B, H, S)."""
        candidates = observation.live & (observation.positions < observation.seen - self.window)
        queries = recall(observation.state.row("queries"), observation.seen).unflatten(1, (keys.shape[1], -1))
        logits = (queries @ keys[:, :, None].transpose(-1, -2) * observation.scaling).amax(2)  # (B, H, m, S)
        # A finite lowest logit: a head without candidates must not divide zero by zero.
        lowest = torch.finfo(logits.dtype).min
        votes = logits.masked_fill(~candidates[:, :, None], lowest).softmax(-1).mean(2)
        pool = partial(F.max_pool1d, kernel_size=self.kernel, stride=1, padding=self.kernel // 2)
        return pooled(votes, candidates, pool)


def mean_similarity(keys: Tensor, live: Tensor, threshold: float, block: int = BLOCK) -> Tensor:
    """The mean over all live keys of their cosine to each key, with what `RKV` counts as 0: (B, H, S).

    Args:
        keys: (B, H, S, D) in the order of the text, 0 in dead slots.
        live: (B, H, S) bool.
        threshold: Cosine from which keys count as alike.
        block: Most similarities in memory at once.
    """
    batch, heads, slots, _ = keys.shape
    unit = F.normalize(keys, dim=-1)
    total = keys.new_zeros(batch, heads, slots)
    place = torch.arange(slots, device=keys.device)
    size = max(1, block // max(1, batch * heads * slots))
    for start in range(0, slots, size):
        rows = place[start : start + size, None]  # (n, 1)
        cosines = unit[:, :, start : start + size] @ unit.transpose(-1, -2)  # (B, H, n, S), 0 for dead keys
        cosines = cosines.masked_fill(rows == place, 0.0)
        alike = (cosines > threshold) & live[:, :, None]
        newest = torch.where(alike, place, -1).amax(-1, keepdim=True)  # (B, H, n, 1)
        total += cosines.masked_fill(newest == place, 0.0).sum(2)
    return total / live.sum(-1, keepdim=True).clamp(min=1)
