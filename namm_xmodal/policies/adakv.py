"""AdaKV."""

from dataclasses import dataclass, field, replace

from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.budgeted import Budgeted, only_scores
from namm_xmodal.policies.pins import check_number
from namm_xmodal.policies.protocol import Candidates
from namm_xmodal.policies.selection import budget_tokens, keep_best, keep_best_of_layer
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.policies.wrapper import PassesOn


@dataclass(frozen=True, kw_only=True)
class AdaKV(PassesOn, Budgeted):
    """Lets the heads of a layer share their budgets: all tokens compete by the scores of `base` (arXiv 2407.11550).

    With a budget of b tokens and H heads, every head keeps what `base` pins and the best alpha of the rest of b; the
    remaining places of H * b go to the best tokens of any head.

    Deviates: later versions of the published code give head h the count alpha * b + (1 - alpha) * (its tokens among the
    best H * b) and weight scores by how concentrated a head is; here, as in its first version, the safeguard is a floor.

    Attributes:
        base: Any budgeted policy; takes this policy's budget instead of its own.
        alpha: Part of the budget that every head has for itself; 0.2 in the paper.
    """

    base: Budgeted = field(default_factory=SnapKV)
    alpha: float = 0.2

    def __post_init__(self) -> None:
        """Refuses a base that chooses by itself; hands the budget on."""
        super().__post_init__()
        check_number("alpha", self.alpha, 0, 1)
        if not only_scores(self.base):
            raise ConfigError(
                f"base={type(self.base).__name__}: expected a budgeted policy that only scores, such as SnapKV "
                "(for a layer schedule write PyramidKV(base=AdaKV(...)))"
            )
        object.__setattr__(self, "base", replace(self.base, budget=self.budget))

    @property
    def window(self) -> int:
        """Newest tokens that `base` pins."""
        return int(getattr(self.base, "window", 0))

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """The best tokens of all heads together: (B, H, S) bool."""
        if not self.may_evict(candidates.seen, candidates.shape):
            return candidates.live.clone()
        budget = budget_tokens(self.budget, candidates.seen)
        pinned = (candidates.live & (candidates.protected | scores.isposinf())).sum(-1, keepdim=True)  # (B, H, 1)
        floor = (pinned + (budget - pinned).clamp(min=0) * self.alpha).floor().clamp(max=budget)
        safe = keep_best(scores, candidates, floor)
        return keep_best_of_layer(scores, replace(candidates, protected=safe), scores.shape[1] * budget)
