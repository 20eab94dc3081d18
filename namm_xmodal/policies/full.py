"""The full cache."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, kw_only=True)
class FullCache:
    """Keeps everything; the reference for all other policies."""

    @property
    def reads(self) -> Reads:
        """Nothing."""
        return Reads()

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares no buffers."""

    def observe(self, state: State, tile: Tile) -> None:
        """Takes nothing in."""

    def score(self, observation: Observation) -> Tensor:
        """All alike: (B, H, S) zeros."""
        return torch.zeros(observation.positions.shape, device=observation.positions.device)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """Every live token: (B, H, S) bool."""
        return candidates.live.clone()

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Never."""
        return False

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """Works with any schedule."""
