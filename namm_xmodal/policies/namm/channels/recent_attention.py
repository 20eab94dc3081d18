"""The most recent attention, without a spectrum or an average."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm.channels.channel import Channel, Standardise
from namm_xmodal.policies.namm.channels.in_context import orders_of_magnitude
from namm_xmodal.policies.protocol import Observation, Reads, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.state import State

MOST_ROWS = 1024


class RecentAttention(Channel):
    """What a token received from each of the last queries before an update, oldest query first; 0 before its own.

    In context it is the logarithm that is standardised.
    """

    name = "recent_attention"
    usual = "frozen"

    def __init__(self, rows: int = 16, *, standardise: Standardise | None = None) -> None:
        """Makes the channel.

        Args:
            rows: Queries.
            standardise: See `Channel`.

        Raises:
            ConfigError: If `rows` is out of range.
        """
        super().__init__(standardise=standardise)
        if not 1 <= rows <= MOST_ROWS:
            raise ConfigError(f"rows={rows}: expected 1 to {MOST_ROWS} queries, 16 if left out")
        self.rows, self.raw, self.reads = rows, rows, Reads(rows=rows)

    def config(self) -> dict[str, Any]:
        """Hyper-parameters for saving."""
        return {"rows": self.rows}

    def start(self, state: State) -> None:
        """Declares room for the rows."""
        state.add_token_buffer(f"{self.name}.rows", self.rows, narrow=True, window=self.rows)

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers the newest rows."""
        assert tile.rows is not None
        remember(state.token(f"{self.name}.rows"), tile.rows, tile.first)

    def read(self, observation: Observation) -> Tensor:
        """See `Channel.read`: (B, H, rows, S)."""
        known = recall(observation.state.token(f"{self.name}.rows"), observation.seen)  # (B, H, at most rows, S)
        rows = F.pad(known, (0, 0, self.rows - known.shape[2], 0))
        return rows if self.standardise == "frozen" else orders_of_magnitude(rows)
