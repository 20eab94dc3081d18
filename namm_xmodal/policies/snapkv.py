"""SnapKV."""

from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.neighbours import pooled
from namm_xmodal.policies.pins import check_count, check_odd, check_pins, pin
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
        check_odd("kernel", self.kernel)

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
        pool = partial(F.avg_pool1d, kernel_size=self.kernel, stride=1, padding=self.kernel // 2)
        return pin(pooled(votes, candidates, pool), observation, recent=self.window)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """A budget in tokens must hold the window."""
        super().check_clock(update_every, protect_first, protect_recent)
        what = f"window={self.window}"
        check_pins(self.budget, (protect_first, protect_recent), recent=self.window, what=what)
