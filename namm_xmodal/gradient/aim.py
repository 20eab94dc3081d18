"""The target cache size of an update, and the tokens to keep by their scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.policies.namm import ThresholdSchedule
from namm_xmodal.policies.protocol import Candidates
from namm_xmodal.policies.selection import budget_tokens, keep_above, keep_best

_SMALLEST_VARIANCE = 1e-6
"""Of a head's scores: a head with one free token has none, nor has a network of zeros."""


@dataclass(frozen=True)
class Aim:
    """What a sample keeps.

    Attributes:
        schedule: Tokens that score at least `schedule.at(tokens seen)` are kept, layers and heads alike; not used with
            `per_head`.
        budget: Fraction of the tokens seen that should be, or of the whole sample.
        floor: Tokens that should be, at least: a quarter of the first 128 tokens is less than a recent sentence and the
            fact before it, and later caches are not smaller for it.
        per_head: Every head keeps just so many of its tokens, the best ones, instead of those above a threshold.
        smallest_budget: Each sample has a budget of its own between this and `budget`; None: all have the same.
        whole: The budget is a share of the whole sample, the same number of tokens at every update, as in an evaluation at
            a given cache size.
        length: Of the sample, in tokens; known once it is drawn.
        shares: With `per_head`, what every head gets of the budget; all the same if None.
    """

    schedule: ThresholdSchedule
    budget: float
    floor: int = 0
    per_head: bool = False
    smallest_budget: float | None = None
    whole: bool = False
    length: int = 0
    shares: HeadShares | None = None

    def of_sample(self, seed: int, length: int) -> "Aim":
        """The same for one sample.

        Args:
            seed: Of its budget, which is log-uniform, so that every octave of sizes is met as often.
            length: Its tokens.
        """
        if self.smallest_budget is None:
            return replace(self, length=length)
        place = np.random.default_rng(seed).random()
        budget = self.smallest_budget * (self.budget / self.smallest_budget) ** place
        return replace(self, budget=float(budget), smallest_budget=None, length=length)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """(B, H, S) scores -> (B, H, S) bool: what stays, protected tokens included."""
        if self.per_head:
            protected = candidates.live & candidates.protected
            return keep_best(scores, candidates, self._places(protected, candidates.seen, candidates.shape.layer))
        return keep_above(scores, candidates, self.schedule.at(candidates.seen))

    def comparable(self, scores: Tensor, free: Tensor) -> Tensor:
        """Scores as straight-through gradients take them.

        Which tokens a head keeps with `per_head` does not depend on the scale of its scores, but the slope of a sigmoid
        does: left alone, steps go into making all scores smaller. So they are divided by their deviation in the head, and
        the gradient is at right angles to the scale.

        Args:
            scores: (B, H, S), with gradient.
            free: (B, H, S) bool, live tokens that are not protected.
        """
        if not self.per_head:
            return scores
        count = free.sum(-1, keepdim=True).clamp(min=1)
        mean = scores.masked_fill(~free, 0.0).sum(-1, keepdim=True) / count
        variance = (scores - mean).masked_fill(~free, 0.0).square().sum(-1, keepdim=True) / count
        return scores / variance.clamp(min=_SMALLEST_VARIANCE).sqrt()

    def margins(
        self, scores: Tensor, live: Tensor, free: Tensor, seen: int, layer: int, *, slope: float = 1.0
    ) -> Tensor:
        """How far tokens are above the threshold.

        With `per_head` the threshold is the head's own, and moves with its scores.

        Args:
            scores: (B, H, S), with gradient.
            live: (B, H, S) bool, tokens still cached.
            free: (B, H, S) bool, those of them that are not protected.
            seen: Tokens seen.
            layer: Whose heads these are.
            slope: Of the sigmoid that will be taken of the margins.

        Returns:
            (B, H, S).
        """
        if not self.per_head:
            return scores - self.schedule.at(seen)
        return scores - _threshold_of_heads(scores, live, free, self._places(live & ~free, seen, layer), slope)

    def wanted(self, scores: Sequence[Tensor], seen: int, heads: int, protected: int) -> float | None:
        """Quantile of the scores of one update that leaves the wanted tokens, all heads pooled.

        Args:
            scores: Of the live tokens that are not protected, flat.
            seen: Tokens seen.
            heads: Batch rows times kv heads, summed over layers.
            protected: Live tokens that always stay, summed over `heads`.

        Returns:
            None if even all of them are less than wanted, and with `per_head`, which needs none.
        """
        if self.per_head:
            return None
        keep = round((max(self.budget * seen, min(self.floor, seen)) - protected / heads) * heads)
        pooled = torch.cat(list(scores))
        if keep >= pooled.numel() or not pooled.numel():
            return None
        return float(pooled.kthvalue(pooled.numel() - max(0, keep)).values)

    def _tokens(self, seen: int) -> int:
        """That every head keeps: as a cache of `max_tokens=budget` does, or `floor`."""
        return max(budget_tokens(float(self.budget), self.length if self.whole else seen), min(self.floor, seen))

    def _places(self, protected: Tensor, seen: int, layer: int) -> int | Tensor:
        """Tokens of every head, or (1, H, 1) of each, as `ByHead` gives them.

        Args:
            protected: (B, H, S) bool, live tokens that stay in any case.
            seen: Tokens seen.
            layer: Whose heads these are.
        """
        count = min(self._tokens(seen), seen)
        if self.shares is None or count >= seen:
            return count
        least = int(protected.sum(-1).max())
        return self.shares.on(protected.device, layer, count, seen, least)


def _threshold_of_heads(scores: Tensor, live: Tensor, free: Tensor, count: int | Tensor, slope: float) -> Tensor:
    """(B, H, 1) score of the last token that each head keeps, with the gradient of a soft top-k.

    The threshold t for which sum_i sigmoid(slope (s_i - t)) stays the same moves by sum_i w_i ds_i, where the w_i are
    proportional to the sigmoid's derivatives. So a step cannot make a head larger: it only changes which tokens it keeps.

    Where there are no more free tokens than may be kept it is -infinity: nothing is decided, so nothing is learnt.
    """
    places = count - (live & ~free).sum(-1, keepdim=True)  # (B, H, 1), what protected tokens leave
    known = scores.detach().masked_fill(~free, -torch.inf).sort(-1, descending=True).values
    last = known.gather(-1, (places - 1).clamp(0, known.shape[-1] - 1))
    last = last.masked_fill(places >= free.sum(-1, keepdim=True), -torch.inf)
    near = torch.sigmoid(slope * (scores.detach() - last))
    weights = (near * (1 - near)).masked_fill(~free, 0.0)
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    soft = (weights * scores.masked_fill(~free, 0.0)).sum(-1, keepdim=True)
    return last + (soft - soft.detach())
