"""Redundancy: how similar a key is to its nearest neighbours in the cache, before it and after it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.namm.channels.unrotated_key_novelty import unrotated_keys
from namm_xmodal.policies.protocol import Observation

BLOCK = 2**20
"""Most similarities in memory at once: 4 MiB, which stay in a processor's cache."""


class NearestKey(Channel):
    """The largest cosine of a key to any older live key of its head, and to any newer one; -1 where there is none.

    Key novelty looks at the mean, which a second copy of a token hardly moves; this looks at pairs, as DivPrune does.
    The two sides are two numbers so that of two copies one can go and the other stay: the nearest neighbour on any side
    says the same of both. Keys are turned back to position 0 where the layer turns them: copies in two places are
    copies. It takes S^2 / 2 products of keys per head, at updates only, and never more than `BLOCK` of them at once.
    """

    name = "nearest_key"
    raw = 2

    def read(self, observation: Observation) -> Tensor:
        """See `Channel.read`: (B, H, 2, S), older and newer."""
        return nearest(unrotated_keys(observation), observation.live)


def nearest(keys: Tensor, live: Tensor, block: int = BLOCK) -> Tensor:
    """Keys (B, H, S, D) and live (B, H, S) bool -> (B, H, 2, S) cosines to older and newer keys, -1 without any.

    Args:
        keys: In the order of the text; dead slots may hold anything.
        live: Which slots count.
        block: Most similarities in memory at once.
    """
    batch, heads, slots, _ = keys.shape
    unit = F.normalize(keys.float().masked_fill(~live[..., None], 0.0), dim=-1)
    # Two more dimensions take 4 from a cosine for each dead key of its pair: a mask over pairs would cost as much
    # again.
    dead = (~live).float()[..., None]
    left = torch.cat([unit, dead, torch.ones_like(dead)], dim=-1)  # (B, H, S, D + 2)
    right = torch.cat([unit, torch.full_like(dead, -4.0), -4.0 * dead], dim=-1).transpose(-1, -2)
    found = unit.new_full((batch, heads, 2, slots), -1.0)
    older, newer = found[:, :, 0], found[:, :, 1]
    size = max(1, block // max(1, batch * heads * slots))
    for start in range(0, slots, size):
        stop = min(slots, start + size)
        # Similarity is symmetric: each block of rows meets itself and what comes after it, and both sides learn of it.
        cosines = left[:, :, start:stop] @ right[..., start:]  # (B, H, n, S - start)
        itself = cosines[..., : stop - start]  # (B, H, n, n), of which the part above the diagonal are pairs
        itself.masked_fill_(torch.ones_like(itself[0, 0], dtype=torch.bool).tril(), -1.0)
        for side, place, largest in (
            (newer, slice(start, stop), cosines.amax(-1)),
            (older, slice(start, slots), cosines.amax(-2)),
        ):
            side[..., place] = torch.maximum(side[..., place], largest)
    return found.clamp(max=1.0)
