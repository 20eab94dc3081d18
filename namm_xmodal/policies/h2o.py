"""H2O: heavy hitters."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.pins import check_number, pin
from namm_xmodal.policies.protocol import ALL_ROWS, Observation, Reads, Tile
from namm_xmodal.policies.selection import budget_tokens
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, kw_only=True)
class H2O(Budgeted):
    """Keeps the tokens that received most attention since they came, and the newest ones (arXiv 2306.14048).

    score(s) = sum over all queries q of p[q, s]; infinity for the newest half of the budget.

    Deviates: the published code adds the attention of all batch rows and lets them share one choice; here each row has
    its own, so that a text's cache does not depend on its batch-mates. The query heads that share a kv head are averaged.

    Attributes:
        recent_fraction: Part of the budget for the newest tokens; half in the paper.
        normalise: Divide by the number of queries that came after the token (itself included), so that old tokens do not
            lead by age alone.
    """

    recent_fraction: float = 0.5
    normalise: bool = False

    def __post_init__(self) -> None:
        """Refuses a fraction outside [0, 1]."""
        super().__post_init__()
        check_number("recent_fraction", self.recent_fraction, 0, 1)

    @property
    def reads(self) -> Reads:
        """Every attention row."""
        return Reads(rows=ALL_ROWS)

    def start(self, state: State, shape: LayerShape) -> None:
        """One sum for each token."""
        state.add_token_buffer("attention", 1)

    def observe(self, state: State, tile: Tile) -> None:
        """Adds what each token received."""
        assert tile.rows is not None
        received = tile.rows.sum(2, keepdim=True)  # (B, H, 1, V)
        state.token("attention")[..., : received.shape[-1]] += received

    def score(self, observation: Observation) -> Tensor:
        """Received attention, the newest above all: (B, H, S)."""
        score = observation.state.token("attention")[:, :, 0]
        if self.normalise:
            score = score / (observation.seen - observation.positions).clamp(min=1)
        recent = int(self.recent_fraction * budget_tokens(self.budget, observation.seen))
        return pin(score, observation, recent=recent)


@dataclass(frozen=True, kw_only=True)
class H2ONormalised(H2O):
    """H2O with sums divided by the number of queries that could see the token.

    score(s) = mean over the queries since s of p[q, s]; infinity for the newest half of the budget.

    Deviates: the paper sums. The mean is what later libraries offer beside it (OpenVINO's NORM_SUM, kvpress's observed
    attention). Queries that a sliding window kept from a token count as well.
    """

    normalise: bool = True
