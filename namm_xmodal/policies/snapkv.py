"""SnapKV."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.pins import check_count, check_pins, pin
from namm_xmodal.policies.protocol import Observation, Reads, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, kw_only=True)
class SnapKV(Budgeted):
    """Keeps what the newest queries attend to, with its neighbourhood, and these newest tokens (arXiv 2404.14469).

    score(s) = average of p[q, s'] over the queries q of the window and `kernel` tokens s' around s; infinity inside the
    window.

    Deviates: the paper prunes once, at the end of the prompt (`schedule="post_prefill"`); with a clock the window slides,
    and tokens are neighbours if they are so in the cache, whatever was evicted between them. The query heads that share
    a kv head are averaged, where the published code repeats keys for each of them.

    Attributes:
        window: Newest queries that vote, and newest tokens that stay; 32 in the published code.
        kernel: Tokens that are pooled, an odd number; 5 in the published code, 1 for no pooling.
    """

    window: int = 32
    kernel: int = 5

    def __post_init__(self) -> None:
        """Refuses an empty window and an even kernel."""
        super().__post_init__()
        check_count("window", self.window, 1)
        check_count("kernel", self.kernel, 1)
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel={self.kernel}: expected an odd number, so that it has a middle")

    @property
    def reads(self) -> Reads:
        """The attention rows of the window."""
        return Reads(rows=self.window)

    def start(self, state: State, shape: LayerShape) -> None:
        """The rows of the window."""
        state.add_token_buffer("rows", self.window, narrow=True, window=self.window)

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers the newest rows."""
        assert tile.rows is not None
        remember(state.token("rows"), tile.rows, tile.first)

    def score(self, observation: Observation) -> Tensor:
        """Pooled votes, the window above all: (B, H, S)."""
        votes = recall(observation.state.token("rows"), observation.seen).mean(2)  # (B, H, S)
        candidates = observation.live & (observation.positions < observation.seen - self.window)
        return pin(self._pooled(votes, candidates), observation, recent=self.window)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """A budget in tokens must hold the window."""
        super().check_clock(update_every, protect_first, protect_recent)
        what = f"window={self.window}"
        check_pins(self.budget, (protect_first, protect_recent), recent=self.window, what=what)

    def _pooled(self, votes: Tensor, candidates: Tensor) -> Tensor:
        """Averages over neighbouring candidates, as if all other slots were not there: (B, H, S)."""
        order = (~candidates).byte().argsort(dim=-1, stable=True)  # candidates first, oldest first
        packed = votes.masked_fill(~candidates, 0.0).gather(-1, order)
        pooled = F.avg_pool1d(packed, self.kernel, stride=1, padding=self.kernel // 2)
        return votes.new_zeros(votes.shape).scatter(-1, order, pooled)
