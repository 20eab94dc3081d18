"""What a NAMM sees of a token: a protocol for features, the age embedding, and features by name."""

from typing import Any, Protocol

import torch
from torch import Tensor

from namm_xmodal.policies.protocol import Tile
from namm_xmodal.policies.state import State

AGE_CHANNELS = 8
_AGE_PERIOD = 50_000.0


class Features(Protocol):
    """Turns the attention that a token receives into numbers, one tile of queries at a time.

    Attributes:
        name: Name in saved policies.
        hop: Queries that are taken in together; updates must fall on multiples of it.
        channels: Numbers per token that are standardised.
        outputs: Numbers per token that the scorer gets.
        num_parameters: Evolved numbers of the features themselves, 0 for most; they follow the scorer's in the flat vector.
    """

    name: str
    hop: int
    channels: int

    @property
    def outputs(self) -> int:
        """See above."""

    @property
    def num_parameters(self) -> int:
        """See above."""

    def start(self, state: State) -> None:
        """Declares buffers."""

    def observe(self, state: State, tile: Tile) -> None:
        """Takes a tile of attention rows in; tiles of any sizes leave the same state."""

    def read(self, state: State) -> Tensor:
        """Raw (not standardised) features (B, H, channels, S)."""

    def project(self, standardised: Tensor, parameters: Tensor) -> Tensor:
        """Standardised features (B, H, channels, S) and (B or 1, H or 1, num_parameters) -> (B, H, outputs, S)."""

    def config(self) -> dict[str, Any]:
        """Hyper-parameters for saving."""


def age_embedding(positions: Tensor, seen: int) -> Tensor:
    """Sine and cosine of a token's age at four wavelengths, 6.3 to 21,010 tokens (docs/algorithm.md).

    Args:
        positions: (B, H, S) int64 places in the text; dead slots may hold anything.
        seen: Tokens seen; the newest has age 0.

    Returns:
        (B, H, 8, S) float32: four sines, then four cosines.
    """
    age = (seen - 1 - positions).clamp(min=0, max=max(seen - 1, 0))
    table = _age_table(seen, positions.device)
    return table[age].movedim(-1, -2)  # (B, H, S, 8) -> (B, H, 8, S)


_TABLES: dict[torch.device, Tensor] = {}


def _age_table(rows: int, device: torch.device) -> Tensor:
    """(at least `rows`, 8) embeddings; float64 inside, since float32 phases of old tokens are off by 1e-3."""
    table = _TABLES.get(device)
    if table is None or table.shape[0] < rows:
        ages = torch.arange(max(4096, 2 * rows), dtype=torch.float64)[:, None]
        phase = ages / _AGE_PERIOD ** (torch.arange(AGE_CHANNELS // 2, dtype=torch.float64) / (AGE_CHANNELS // 2))
        table = torch.cat([phase.sin(), phase.cos()], dim=-1).float().to(device)
        _TABLES[device] = table
    return table
