"""The last n attention rows or queries of a text, in a ring buffer that does not depend on chunk sizes."""

import torch
from torch import Tensor


def remember(ring: Tensor, arriving: Tensor, first: int) -> None:
    """Writes consecutive entries into their places: the entry at position p goes to place p modulo n.

    Args:
        ring: (B, H, n, S) attention rows or (B, Hq, n, D) queries; a buffer of the state, changed in place.
        arriving: (B, H, Q, V) with V <= S: slots beyond the first V received nothing. More than n entries are fine.
        first: Position of the first one.
    """
    size, width = ring.shape[2], arriving.shape[-1]
    first += max(0, arriving.shape[2] - size)
    arriving = arriving[:, :, -size:].to(ring.dtype)
    places = torch.arange(first, first + arriving.shape[2], device=ring.device) % size
    ring[:, :, places, :width] = arriving
    ring[:, :, places, width:] = 0


def recall(ring: Tensor, seen: int) -> Tensor:
    """The newest entries, oldest first: (B, H, m, S) float32 with m = min(n, seen).

    Rows of dead slots are stale, mask them.

    Args:
        ring: What `remember` wrote into.
        seen: Tokens seen; the newest entry has position `seen - 1`.
    """
    size = ring.shape[2]
    return ring[:, :, torch.arange(max(0, seen - size), seen, device=ring.device) % size].float()
