"""The sliding window."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.protocol import Observation


@dataclass(frozen=True, kw_only=True)
class Recency(Budgeted):
    """Keeps the newest tokens: `StreamingLLM` without sinks.

    score(s) = position of s.
    """

    def score(self, observation: Observation) -> Tensor:
        """Positions: (B, H, S)."""
        return observation.positions.float()
