"""The base of hand-designed policies: a budget, within which the best-scored tokens are kept."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

from torch import Tensor

from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Tile
from namm_xmodal.policies.selection import budget_tokens, check_budget, keep_best
from namm_xmodal.policies.state import State
from namm_xmodal.types import Budget, LayerShape, plain


def only_scores(policy: object) -> bool:
    """Whether a policy has a budget and leaves the choice within it to others."""
    return isinstance(policy, Budgeted) and type(policy).keep is Budgeted.keep


@dataclass(frozen=True, kw_only=True)
class Budgeted(ABC):
    """Keeps the `budget` best-scored tokens per layer, row and kv head; reads nothing and remembers nothing by itself.

    Attributes:
        budget: Tokens (int) or fraction of the tokens seen (float in (0, 1]) that remain after an update, protected
            tokens included.
    """

    budget: Budget = 0.5

    def __post_init__(self) -> None:
        """Refuses an impossible budget; accepts NumPy numbers."""
        for field in fields(self):
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))
        check_budget(self.budget)

    @property
    def reads(self) -> Reads:
        """Nothing."""
        return Reads()

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares no buffers."""

    def observe(self, state: State, tile: Tile) -> None:
        """Takes nothing in."""

    @abstractmethod
    def score(self, observation: Observation) -> Tensor:
        """Scores (B, H, S), defined by each policy."""

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """The `budget` best tokens of every head: (B, H, S) bool."""
        if not self.may_evict(candidates.seen, candidates.shape):
            return candidates.live.clone()
        return keep_best(scores, candidates, budget_tokens(self.budget, candidates.seen))

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Whether more tokens were seen than the budget holds."""
        return seen > budget_tokens(self.budget, seen)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """Works with any schedule; a budget in tokens must hold the protected tokens."""
        check_budget(self.budget, protect_first, protect_recent)
