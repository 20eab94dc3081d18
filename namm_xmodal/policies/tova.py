"""TOVA."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.protocol import Observation, Reads, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, kw_only=True)
class TOVA(Budgeted):
    """Keeps what the newest query attends to most, averaged over all heads of a layer (arXiv 2401.06104).

    score(s) = mean over heads of p[last query, s], the same for every head.

    Deviates: the paper evicts one token after every token; here as many as the clock asks for, by the last row before
    each update. Heads that lost a token to a wrapper (AdaKV) count as giving it no attention.
    """

    @property
    def reads(self) -> Reads:
        """The last attention row."""
        return Reads(rows=1)

    def start(self, state: State, shape: LayerShape) -> None:
        """The last row."""
        state.add_token_buffer("row", 1, narrow=True, window=1)

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers the last row."""
        assert tile.rows is not None
        remember(state.token("row"), tile.rows, tile.first)

    def score(self, observation: Observation) -> Tensor:
        """Attention of the last query: (B, H, S)."""
        row = recall(observation.state.token("row"), observation.seen)[:, :, -1]  # (B, H, S)
        batch, heads, _ = row.shape
        # Slots of different heads may hold different tokens: average by position, dead slots in a column of their own.
        place = observation.positions.masked_fill(~observation.live, observation.seen).flatten(1)  # (B, H * S)
        total = row.new_zeros(batch, observation.seen + 1).scatter_add(1, place, row.flatten(1))
        total[:, -1] = 0
        return (total / heads).gather(1, place).view_as(row)
