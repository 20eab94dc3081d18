"""The age of a token as numbers: in front of every NAMM's channels."""

import torch
from torch import Tensor

AGE_NUMBERS = 8
_AGE_PERIOD = 50_000.0


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
        phase = ages / _AGE_PERIOD ** (torch.arange(AGE_NUMBERS // 2, dtype=torch.float64) / (AGE_NUMBERS // 2))
        table = torch.cat([phase.sin(), phase.cos()], dim=-1).float().to(device)
        _TABLES[device] = table
    return table
