"""KeyDiff."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.protocol import Observation


@dataclass(frozen=True, kw_only=True)
class KeyDiff(Budgeted):
    """Keeps the keys that differ most from the mean direction of all keys (arXiv 2504.15364).

    score(s) = -cos(k_s, a), a = mean over tokens of k / ||k||.

    As in the paper, it is applied block by block: the mean is over the tokens that are still cached.
    """

    def score(self, observation: Observation) -> Tensor:
        """Negative cosine to the mean direction: (B, H, S)."""
        live = observation.live[..., None]  # (B, H, S, 1)
        keys = observation.keys.float().masked_fill(~live, 0.0)  # stale keys must not enter the mean
        anchor = F.normalize(keys, dim=-1).sum(2, keepdim=True) / live.sum(2, keepdim=True).clamp(min=1)
        return -F.cosine_similarity(keys, anchor, dim=-1)
