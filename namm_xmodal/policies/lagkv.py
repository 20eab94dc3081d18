"""LagKV."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.neighbours import side_by_side
from namm_xmodal.policies.pins import check_count, check_pins, pin
from namm_xmodal.policies.protocol import Observation


@dataclass(frozen=True, kw_only=True)
class LagKV(Budgeted):
    """Keeps the tokens that vary most by the measure of the tokens that follow them (arXiv 2504.04704).

    Behind the sinks, the cached tokens of a head stand in partitions of `lag`. With the smallest and the largest number of
    the next partition in every dimension,
    x(s) = softmax over the partition of (deviation over the dimensions of (x_s - smallest) / (largest - smallest)),
    score(s) = rank of (k(s) + v(s)) in its partition / `lag`, 0 the lowest; 1 for the last whole partition and what comes
    after it; infinity for the first `num_sinks`.

    Deviates: the published code scores a partition once and keeps the same share of each; here all that is cached is
    scored again at every update, since a budget has to hold. Tokens are neighbours if they are so in the cache. A budget
    that does not hold the newest `lag` to 2 * `lag` tokens leaves nothing to score: then this is StreamingLLM.

    Attributes:
        num_sinks: First tokens that always stay; 16 in the published code, 4 in kvpress.
        lag: Tokens of a partition; 128 to 1024 in the paper.
    """

    num_sinks: int = 4
    lag: int = 128

    def __post_init__(self) -> None:
        """Refuses a partition of one token, which has no ranks, and a negative number of sinks."""
        super().__post_init__()
        check_count("num_sinks", self.num_sinks, 0)
        check_count("lag", self.lag, 2)

    def score(self, observation: Observation) -> Tensor:
        """Ranks within partitions, the newest tokens and the sinks above: (B, H, S)."""
        scored = observation.live & (observation.positions >= self.num_sinks)
        order = side_by_side(scored)  # (B, H, S)
        whole = scored.sum(-1, keepdim=True) // self.lag  # (B, H, 1) whole partitions of each head
        room = -(-order.shape[-1] // self.lag) * self.lag
        parts = [self._relative(tensor, order, room) for tensor in (observation.keys, observation.values)]
        ranks = (parts[0] + parts[1]).argsort(dim=-1, stable=True).argsort(dim=-1)  # (B, H, P, lag)
        place = torch.arange(room, device=order.device)
        packed = torch.where(place < (whole - 1) * self.lag, ranks.flatten(2) / self.lag, 1.0)
        scores = packed.new_zeros(order.shape).scatter(-1, order, packed[..., : order.shape[-1]])
        return pin(scores, observation, first=self.num_sinks)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """A budget in tokens must hold the sinks beside the protected tokens."""
        super().check_clock(update_every, protect_first, protect_recent)
        what = f"num_sinks={self.num_sinks}"
        check_pins(self.budget, (protect_first, protect_recent), first=self.num_sinks, what=what)

    def _relative(self, states: Tensor, order: Tensor, room: int) -> Tensor:
        """(B, H, P, lag): how much each token varies, in shares of its partition; the last one means nothing."""
        packed = states.float().gather(2, order[..., None].expand(-1, -1, -1, states.shape[-1]))
        padded = packed.new_zeros(*packed.shape[:2], room, packed.shape[-1])
        padded[:, :, : packed.shape[2]] = packed
        partitions = padded.unflatten(2, (-1, self.lag))  # (B, H, P, lag, D)
        following = partitions.roll(-1, dims=2)
        least, most = following.amin(3, keepdim=True), following.amax(3, keepdim=True)
        # Where the next partition is constant, it measures nothing.
        relative = ((partitions - least) / (most - least)).masked_fill(most == least, 0.0)
        shares: Tensor = relative.std(-1).softmax(-1)
        return shares
