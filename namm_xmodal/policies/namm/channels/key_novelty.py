"""How far a key is from the mean direction of the cached keys."""

import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.protocol import Observation


class KeyNovelty(Channel):
    """Minus the cosine of a key to the mean direction of the live keys of its head, KeyDiff's score (arXiv 2504.15364)."""

    name = "key_novelty"

    def read(self, observation: Observation) -> Tensor:
        """See `Channel.read`: (B, H, 1, S)."""
        return novelty(observation.keys, observation.live)


def novelty(keys: Tensor, live: Tensor) -> Tensor:
    """Minus the cosine to the mean direction: keys (B, H, S, D) and live (B, H, S) bool -> (B, H, 1, S), 0 if dead."""
    known = keys.float().masked_fill(~live[..., None], 0.0)  # stale keys must not enter the mean
    common = F.normalize(known, dim=-1).sum(2, keepdim=True)  # (B, H, 1, D), its length does not matter
    return -F.cosine_similarity(known, common, dim=-1)[:, :, None]
