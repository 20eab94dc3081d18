"""A hand-designed score from the geometry of keys and values."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.namm.channels.in_context import in_context
from namm_xmodal.policies.namm.channels.key_novelty import KeyNovelty
from namm_xmodal.policies.namm.channels.nearest_key import NearestKey
from namm_xmodal.policies.namm.channels.value_norm import ValueNorm
from namm_xmodal.policies.protocol import Observation


@dataclass(frozen=True, kw_only=True)
class Geometry(Budgeted):
    """Keeps tokens whose keys are unlike the others and whose values are long. Of this project, no paper has it.

    score(s) = z(-cos(k_s, mean of k/||k||)) - z(largest cos to an older key) - z(largest cos to a newer key)
               + z(log ||v_s||),

    each standardised over the live tokens of the head (z) and with the keys of both largest cosines turned back to
    position 0. It is what a NAMM of these channels computes before training if `start` gives them equal weights, so it
    says how much of such a NAMM is training.
    """

    def score(self, observation: Observation) -> Tensor:
        """The sum of four standardised numbers: (B, H, S)."""
        parts = [KeyNovelty().read(observation), -NearestKey().read(observation), ValueNorm().read(observation)]
        return in_context(torch.cat(parts, dim=2), observation.live).sum(2)  # (B, H, 4, S) -> (B, H, S)
