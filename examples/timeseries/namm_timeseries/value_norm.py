"""A policy of one line."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal import Budgeted, Observation


@dataclass(frozen=True, kw_only=True)
class ValueNorm(Budgeted):
    """Keeps tokens with large values."""

    def score(self, observation: Observation) -> Tensor:
        """(B, H, S): the norm of each cached value."""
        return observation.values.norm(dim=-1)
