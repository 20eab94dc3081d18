"""A sliding window around another policy: older tokens are always evicted, the policy chooses among the rest."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal.policies.pins import check_count
from namm_xmodal.policies.protocol import Candidates
from namm_xmodal.policies.wrapper import Wrapper
from namm_xmodal.types import LayerShape, plain


@dataclass(frozen=True)
class Within(Wrapper):
    """A policy inside a window, such as the 20 steps that a Decision Transformer was trained on.

    Attributes:
        tokens: At an update, tokens older than the newest `tokens` leave; between updates the window is longer by the
            tokens that came since.
    """

    tokens: int = 60

    def __post_init__(self) -> None:
        """Refuses an empty window.

        Raises:
            ConfigError: With the value given.
        """
        object.__setattr__(self, "tokens", plain(self.tokens))
        check_count("within", self.tokens, 1)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """(B, H, S) bool: the base's choice, without what is too old."""
        assert candidates.positions is not None
        young = candidates.positions >= candidates.seen - self.tokens
        return (self.base.keep(scores, candidates) & young) | (candidates.protected & candidates.live)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Once the window is full, always."""
        return seen > self.tokens or self.base.may_evict(seen, shape)
