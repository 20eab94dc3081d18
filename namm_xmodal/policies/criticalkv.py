"""CriticalKV."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.expected_attention import ExpectedAttention
from namm_xmodal.policies.fingerprint import FILLED_IN
from namm_xmodal.policies.h2o import H2O
from namm_xmodal.policies.pins import check_number
from namm_xmodal.policies.protocol import Candidates, Observation
from namm_xmodal.policies.selection import budget_tokens, keep_best
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.policies.tova import TOVA
from namm_xmodal.policies.wrapper import PassesOn

ATTENTIVE = (SnapKV, H2O, TOVA, ExpectedAttention)
"""Policies that score by attention: other scores may be negative, and a product with them would rank upside down."""


@dataclass(frozen=True, kw_only=True)
class CriticalKV(PassesOn, Budgeted):
    """Keeps the best half by attention, then the tokens whose attention moves the output most (arXiv 2502.03805).

    score(s) = infinity for the best `first_stage` of the budget by `base`, else (score of `base` + `eps`) * ||W_o v_s||_1,
    the norm averaged over the query heads that share the kv head; W_o is a head's part of the layer's output projection.

    Inside `pruned` the projections are the model's, and a model without one that can be read is refused. Without a model,
    as in `check_policy`, W_o is the identity.

    Deviates: inside AdaKV every head is sure of its first stage; the published code divides the budget first, by `base`.

    Attributes:
        base: SnapKV, H2O, TOVA or ExpectedAttention; takes this policy's budget instead of its own.
        first_stage: Part of the budget that goes to the best tokens by `base`; 0.5 in the paper.
        eps: Added before the multiplication, so that long values with little attention count; 1e-4 in the published code.
        projections: What `pruned` fills in: one (Hq * D, E) matrix for each layer, not set by hand.
    """

    base: Budgeted = field(default_factory=SnapKV)
    first_stage: float = 0.5
    eps: float = 1e-4
    projections: Sequence[Tensor] | None = field(default=None, repr=False, compare=False, metadata=FILLED_IN)

    def __post_init__(self) -> None:
        """Refuses a base that does not score by attention; hands the budget on."""
        super().__post_init__()
        check_number("first_stage", self.first_stage, 0, 1)
        check_number("eps", self.eps, 0)
        if not isinstance(self.base, ATTENTIVE):
            names = ", ".join(each.__name__ for each in ATTENTIVE)
            raise ConfigError(f"base={type(self.base).__name__}: expected a policy that scores by attention: {names}")
        object.__setattr__(self, "base", replace(self.base, budget=self.budget))

    keep = Budgeted.keep

    @property
    def window(self) -> int:
        """Newest tokens that `base` pins."""
        return int(getattr(self.base, "window", 0))

    def score(self, observation: Observation) -> Tensor:
        """Both stages: (B, H, S)."""
        scores, live = self.base.score(observation), observation.live
        candidates = Candidates(
            live, torch.zeros_like(live), observation.seen, observation.shape, observation.positions
        )
        count = int(self.first_stage * budget_tokens(self.budget, observation.seen))
        first = keep_best(scores, candidates, count) | scores.isposinf()
        return ((scores + self.eps) * self._lengths(observation)).masked_fill(first, float("inf"))

    def _lengths(self, observation: Observation) -> Tensor:
        """(B, H, S): how long each value is behind the output projection, by the sum of absolute numbers."""
        values, shape = observation.values.float(), observation.shape
        if self.projections is None:
            return values.abs().sum(-1)
        weight = self.projections[shape.layer].detach().float()
        parts = weight.view(shape.num_key_value_heads, -1, values.shape[-1], weight.shape[-1])  # (H, G, D, E)
        # Head by head: all of them together would be a tensor G * E / D times as large as the values.
        lengths = [
            torch.stack([(values[:, head] @ part).abs().sum(-1) for part in parts[head]]).mean(0)
            for head in range(len(parts))
        ]
        return torch.stack(lengths, dim=1)


def with_projections(policy: Any, find: Callable[[], Sequence[Tensor]]) -> Any:
    """The policy with a model's output projections in the CriticalKV that it is or wraps; any other as it is.

    Args:
        policy: A policy.
        find: Called if there is one: a (Hq * D, E) matrix for each layer.
    """
    if isinstance(policy, CriticalKV):
        return replace(policy, projections=find())
    base = getattr(policy, "base", None)
    if base is None or not is_dataclass(policy) or isinstance(policy, type):
        return policy
    inner = with_projections(base, find)
    return policy if inner is base else replace(policy, base=inner)
