"""The base of policies that wrap another one and change its scores or choice."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal.policies.protocol import Candidates, Observation, Policy, Reads, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


class PassesOn:
    """Passes on to `base`; override `score`, `keep` or `may_evict`."""

    base: Policy

    @property
    def reads(self) -> Reads:
        """What the base reads."""
        return self.base.reads

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares the base's buffers."""
        self.base.start(state, shape)

    def observe(self, state: State, tile: Tile) -> None:
        """Shows a tile to the base."""
        self.base.observe(state, tile)

    def score(self, observation: Observation) -> Tensor:
        """(B, H, S): the base's scores."""
        return self.base.score(observation)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """(B, H, S) bool: the base's choice."""
        return self.base.keep(scores, candidates)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """As the base."""
        return self.base.may_evict(seen, shape)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """As the base."""
        self.base.check_clock(update_every, protect_first, protect_recent)


@dataclass(frozen=True)
class Wrapper(PassesOn):
    """A wrapper around any policy.

    Attributes:
        base: The policy that is asked.
    """

    base: Policy
