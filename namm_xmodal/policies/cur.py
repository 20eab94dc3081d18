"""CurDKV."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.neighbours import side_by_side
from namm_xmodal.policies.pins import check_count, check_pins, pin
from namm_xmodal.policies.protocol import Observation


@dataclass(frozen=True, kw_only=True)
class CUR(Budgeted):
    """Keeps tokens with long keys and long values, as rows of a CUR decomposition are chosen (CurDKV, arXiv 2509.15038).

    score(s) = n(||k_s||^2) * n(||v_s||^2), divided by its sum over the head; n divides by the sum over the `neighbours`
    tokens that s stands with (the cached tokens of a head, in order, `neighbours` at a time); infinity for the
    first `num_sinks`.

    Deviates: the paper projects keys and values onto 20 random directions, of which squared lengths are estimates; here
    lengths are exact, which costs less and needs no random numbers. The division by neighbours is kvpress's default.

    Attributes:
        num_sinks: First tokens that always stay; 4 in the paper.
        neighbours: Tokens that lengths are compared with; 16 in kvpress.
    """

    num_sinks: int = 4
    neighbours: int = 16

    def __post_init__(self) -> None:
        """Refuses a single neighbour, with which all are alike, and a negative number of sinks."""
        super().__post_init__()
        check_count("num_sinks", self.num_sinks, 0)
        check_count("neighbours", self.neighbours, 2)

    def score(self, observation: Observation) -> Tensor:
        """Products of squared lengths in shares, sinks above all: (B, H, S)."""
        live = observation.live
        scores = self._shares(observation.keys, live) * self._shares(observation.values, live)
        scores = scores / scores.sum(-1, keepdim=True).clamp(min=1e-30)
        return pin(scores, observation, first=self.num_sinks)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """A budget in tokens must hold the sinks beside the protected tokens."""
        super().check_clock(update_every, protect_first, protect_recent)
        what = f"num_sinks={self.num_sinks}"
        check_pins(self.budget, (protect_first, protect_recent), first=self.num_sinks, what=what)

    def _shares(self, states: Tensor, live: Tensor) -> Tensor:
        """(B, H, S): squared lengths in shares of those in their window, 0 in dead slots."""
        order = side_by_side(live)
        squared = states.float().square().sum(-1).masked_fill(~live, 0.0).gather(-1, order)
        padded = squared.new_zeros(*squared.shape[:2], -(-squared.shape[-1] // self.neighbours) * self.neighbours)
        padded[..., : squared.shape[-1]] = squared
        windows = padded.unflatten(-1, (-1, self.neighbours))  # (B, H, W, window)
        shares = (windows / windows.sum(-1, keepdim=True).clamp(min=1e-30)).flatten(2)
        return squared.new_zeros(squared.shape).scatter(-1, order, shares[..., : squared.shape[-1]])
