"""PyramidKV."""

import math
from dataclasses import dataclass, field, replace

from torch import Tensor

from namm_xmodal.errors import BudgetError, ConfigError
from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.pins import check_number
from namm_xmodal.policies.protocol import Candidates, Observation
from namm_xmodal.policies.selection import budget_tokens
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.policies.wrapper import PassesOn
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, kw_only=True)
class PyramidKV(PassesOn, Budgeted):
    """Gives lower layers more of the budget than upper ones, `budget` on average (arXiv 2406.02069).

    Beside the window that `base` pins, w, the last layer has (budget - w) / beta tokens, the first what makes the mean
    right, and the others lie on the line between.

    Deviates: layer budgets are rounded in pairs, so that their mean is exactly the budget, protected tokens of the
    smallest layers apart; the published code rounds the slope down.

    Attributes:
        base: Any budgeted policy; takes the budget of each layer instead of its own.
        beta: How pointed the pyramid is, 1 for equal layers; 20 in the paper.
    """

    base: Budgeted = field(default_factory=SnapKV)
    beta: float = 20.0

    def __post_init__(self) -> None:
        """Refuses a base without a budget, and a pyramid whose upper layers get more."""
        super().__post_init__()
        check_number("beta", self.beta, 1)
        if not isinstance(self.base, Budgeted) or isinstance(self.base, PyramidKV):
            raise ConfigError(f"base={type(self.base).__name__}: expected a budgeted policy without a layer schedule")
        if getattr(self.base, "shares", None) is not None:
            raise ConfigError(
                f"base={type(self.base).__name__}: already gives each head its own budget; use it without PyramidKV"
            )
        object.__setattr__(self, "base", replace(self.base, budget=self.budget))

    def score(self, observation: Observation) -> Tensor:
        """The scores of `base` at the layer's budget: (B, H, S)."""
        return self._at(observation.seen, observation.shape).score(observation)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """The choice of `base` at the layer's budget: (B, H, S) bool."""
        return self._at(candidates.seen, candidates.shape).keep(scores, candidates)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Whether `base` would evict at the layer's budget."""
        return self._at(seen, shape).may_evict(seen, shape)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """What `base` asks for, in the last layer as well."""
        self.base.check_clock(update_every, protect_first, protect_recent)
        if isinstance(self.budget, float):
            return
        two = LayerShape(layer=1, num_layers=2, num_attention_heads=1, num_key_value_heads=1, head_dim=1)
        smallest = self.layer_budget(2 * self.budget, two)
        try:
            replace(self.base, budget=smallest).check_clock(update_every, protect_first, protect_recent)
        except BudgetError as error:
            raise BudgetError(
                f"budget={self.budget}, beta={self.beta:g}: too small for the last layer: {error}"
            ) from None

    def layer_budget(self, seen: int, shape: LayerShape) -> int:
        """Tokens of one layer after `seen` tokens."""
        budget = budget_tokens(self.budget, seen)
        last = shape.num_layers - 1
        if budget >= seen or last == 0:
            return budget
        window = min(int(getattr(self.base, "window", 0)), budget)
        free = budget - window
        # No layer can hold more than was seen; what the first cannot use goes to the last.
        most = min(2 * free - free / self.beta, seen - window)
        lower = min(shape.layer, last - shape.layer)  # this layer, or the one that lies as far from the other end
        share = math.floor(most - 2 * (most - free) * lower / last + 1e-9)
        return window + (share if shape.layer == lower else 2 * free - share)

    def _at(self, seen: int, shape: LayerShape) -> Budgeted:
        return replace(self.base, budget=self.layer_budget(seen, shape))
