"""Divides a budget among the heads of a model."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from namm_xmodal.errors import CheckpointError, ConfigError
from namm_xmodal.policies.budgeted import Budgeted, only_scores
from namm_xmodal.policies.geometry import Geometry
from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.protocol import Candidates, Policy
from namm_xmodal.policies.selection import budget_tokens, keep_best
from namm_xmodal.policies.state import State
from namm_xmodal.policies.wrapper import PassesOn
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, kw_only=True)
class ByHead(PassesOn, Budgeted):
    """Ranks tokens by `base` and gives each head its own number of them, `budget` on average over layers and heads.

    Heads that look back far need most of the cache, others next to nothing, in any text (HeadKV, arXiv 2410.19258;
    DuoAttention, arXiv 2410.10819). `namm-xmodal head-shares` finds out which, on unlabelled input.

    Attributes:
        base: A budgeted policy that only scores, or a NAMM, of which only the ranking counts.
        shares: Of every head of the model that will be pruned.
    """

    base: Policy = field(default_factory=Geometry)
    shares: HeadShares

    def __post_init__(self) -> None:
        """Refuses a base that chooses by itself; hands the budget on to one that has one."""
        super().__post_init__()
        if not isinstance(self.shares, HeadShares):
            raise ConfigError(
                f"shares={self.shares!r}: expected HeadShares; load a file with HeadShares.from_pretrained({self.shares!r})"
            )
        base: Any = self.base
        if isinstance(base, Namm):
            return
        if not only_scores(base):
            raise ConfigError(
                f"base={type(base).__name__}: expected a budgeted policy that only scores, such as Geometry, or a NAMM"
            )
        object.__setattr__(self, "base", replace(base, budget=self.budget))

    def __repr__(self) -> str:
        """One line; of a NAMM nothing about its own size, which has no effect here."""
        base = repr(self.base)
        if isinstance(self.base, Namm):
            base = f"ranking of {self.base.features.name} -> {self.base.scorer.name}"
        return f"ByHead(budget={self.budget}, base={base}, shares={self.shares})"

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares the base's buffers; refuses a model whose heads do not match the shares.

        Raises:
            CheckpointError: With both numbers.
        """
        found = (len(self.shares.weights), len(self.shares.weights[0]))
        if found != (shape.num_layers, shape.num_key_value_heads):
            raise CheckpointError(
                f"shares of {found[0]} layers with {found[1]} kv heads: this model has {shape.num_layers} layers with "
                f"{shape.num_key_value_heads}; find shares for it with `namm-xmodal head-shares`"
            )
        self.base.start(state, shape)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Whether more tokens were seen than the budget holds, whatever the base would do."""
        return Budgeted.may_evict(self, seen, shape)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """What `base` asks for; a budget in tokens must hold the protected tokens."""
        self.base.check_clock(update_every, protect_first, protect_recent)
        Budgeted.check_clock(self, update_every, protect_first, protect_recent)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """As many of the best tokens of every head as its share allows: (B, H, S) bool."""
        if not self.may_evict(candidates.seen, candidates.shape):
            return candidates.live.clone()
        least = int((candidates.live & candidates.protected).sum(-1).max())
        budget = budget_tokens(self.budget, candidates.seen)
        return keep_best(
            scores, candidates, self.shares.on(scores.device, candidates.shape.layer, budget, candidates.seen, least)
        )
