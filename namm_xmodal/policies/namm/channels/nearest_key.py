"""Redundancy: how like a key its nearest neighbour in the cache is."""

import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.protocol import Observation

BLOCK = 2**20
"""Most similarities in memory at once: 4 MiB, which stay in a processor's cache."""


class NearestKey(Channel):
    """The largest cosine of a key to any other live key of its head, -1 for a key that is alone.

    Key novelty looks at the mean, which a second copy of a token hardly moves; this looks at pairs, as DivPrune does. It
    takes S^2 / 2 products of keys per head, at updates only, and never more than `BLOCK` of them at once.
    """

    name = "nearest_key"

    def read(self, observation: Observation) -> Tensor:
        """See `Channel.read`: (B, H, 1, S)."""
        return nearest(observation.keys, observation.live)[:, :, None]


def nearest(keys: Tensor, live: Tensor, block: int = BLOCK) -> Tensor:
    """Keys (B, H, S, D) and live (B, H, S) bool -> (B, H, S) cosines, -1 where there is no other live key.

    Args:
        keys: Dead slots may hold anything.
        live: Which slots count.
        block: Most similarities in memory at once.
    """
    batch, heads, slots, _ = keys.shape
    unit = F.normalize(keys.float().masked_fill(~live[..., None], 0.0), dim=-1)
    # Two more dimensions take 4 from a cosine for each dead key of its pair: a mask over pairs would cost as much again.
    dead = (~live).float()[..., None]
    left = torch.cat([unit, dead, torch.ones_like(dead)], dim=-1)  # (B, H, S, D + 2)
    right = torch.cat([unit, torch.full_like(dead, -4.0), -4.0 * dead], dim=-1).transpose(-1, -2)
    found = unit.new_full((batch, heads, slots), -1.0)
    size = max(1, block // max(1, batch * heads * slots))
    for start in range(0, slots, size):
        stop = min(slots, start + size)
        # Similarity is symmetric: each block of rows meets itself and what comes after it, and both sides learn of it.
        cosines = left[:, :, start:stop] @ right[..., start:]  # (B, H, n, S - start)
        cosines.diagonal(dim1=-2, dim2=-1).fill_(-1.0)  # of a key with itself
        for place, largest in ((slice(start, stop), cosines.amax(-1)), (slice(start, slots), cosines.amax(-2))):
            found[..., place] = torch.maximum(found[..., place], largest)
    return found.clamp(max=1.0)
