"""From scores to a keep mask: the shared choices that policies combine with their scores."""

import math

import torch
from torch import Tensor

from namm_xmodal.errors import BudgetError
from namm_xmodal.policies.protocol import Candidates
from namm_xmodal.types import Budget


def check_budget(budget: Budget, protect_first: int = 0, protect_recent: int = 0) -> None:
    """Refuses a budget that is not a positive token count or a fraction in (0, 1], or that protection exceeds.

    Raises:
        BudgetError: With the value given and what to change.
    """
    if isinstance(budget, bool) or not isinstance(budget, int | float):
        raise BudgetError(f"budget={budget!r}: expected a number of tokens (int) or a fraction in (0, 1] (float)")
    if isinstance(budget, float) and not 0.0 < budget <= 1.0:
        raise BudgetError(f"budget={budget}: expected a fraction in (0, 1]; write an integer for a number of tokens")
    if isinstance(budget, int):
        if budget < 1:
            raise BudgetError(f"budget={budget}: expected at least 1 token")
        if budget < protect_first + protect_recent:
            raise BudgetError(
                f"budget={budget}: below protect_first + protect_recent = {protect_first} + {protect_recent}; "
                "raise the budget or protect fewer tokens"
            )


def budget_tokens(budget: Budget, seen: int) -> int:
    """The number of tokens a budget stands for after `seen` tokens; a fraction is rounded up."""
    return budget if isinstance(budget, int) else math.ceil(budget * seen - 1e-9)


def ranking(scores: Tensor, candidates: Candidates) -> Tensor:
    """Slots from best to worst: protected ones first, then by score, ties by recency, dead slots last.

    Args:
        scores: (B, H, S).
        candidates: The tokens to choose from.

    Returns:
        (B, H, S) int64 slot indices.
    """
    # Slots are in order of age, so a stable sort of the reversed slots breaks ties in favour of the newest.
    level = scores.float().masked_fill(candidates.protected, math.inf).flip(-1)
    order = level.argsort(dim=-1, descending=True, stable=True)
    # Two passes keep the order exact without inventing numbers "below every score" for dead slots.
    rank_class = candidates.live.to(torch.int8) + (candidates.live & candidates.protected).to(torch.int8)
    second = rank_class.flip(-1).gather(-1, order).argsort(dim=-1, descending=True, stable=True)
    return scores.shape[-1] - 1 - order.gather(-1, second)


def keep_best(scores: Tensor, candidates: Candidates, count: int | Tensor) -> Tensor:
    """Keeps the `count` best live tokens of every head, and every protected one.

    Args:
        scores: (B, H, S).
        candidates: The tokens to choose from.
        count: An int, or a tensor that broadcasts to (B, H, 1).

    Returns:
        (B, H, S) bool.
    """
    order = ranking(scores, candidates)
    place = torch.arange(order.shape[-1], device=order.device)
    chosen = torch.zeros_like(candidates.live).scatter(-1, order, (place < count).expand_as(order))
    return (chosen | candidates.protected) & candidates.live


def keep_best_of_layer(scores: Tensor, candidates: Candidates, count: int) -> Tensor:
    """Keeps the `count` best live tokens of all heads of a layer together, and every protected one: (B, H, S) bool."""
    heads, slots = scores.shape[1:]
    joint = Candidates(_joined(candidates.live), _joined(candidates.protected), candidates.seen, candidates.shape)
    chosen = keep_best(_joined(scores), joint, count)  # (B, 1, S * H)
    return chosen.view(-1, slots, heads).transpose(1, 2)


def _joined(tensor: Tensor) -> Tensor:
    """(B, H, S) -> (B, 1, S * H), slot by slot, so that ties go to the newest token of any head."""
    return tensor.transpose(1, 2).flatten(1)[:, None]


def keep_above(scores: Tensor, candidates: Candidates, threshold: float = 0.0) -> Tensor:
    """Keeps live tokens that score at least `threshold`, and every protected one: (B, H, S) bool."""
    return ((scores >= threshold) | candidates.protected) & candidates.live


def widen_to_layer_max(keep: Tensor, scores: Tensor, candidates: Candidates) -> Tensor:
    """Lets every head keep as many tokens as the head of the same layer and row that keeps most.

    The published NAMM code cuts this way, over the batch as well; here each batch row is on its own, so that batch-mates
    cannot influence each other (the published setting is batch 1, where both agree).

    Args:
        keep: (B, H, S) bool, the choice before widening.
        scores: (B, H, S).
        candidates: The tokens to choose from.

    Returns:
        (B, H, S) bool.
    """
    most = keep.sum(-1, keepdim=True).amax(1, keepdim=True)  # (B, 1, 1)
    first = Candidates(candidates.live, keep, candidates.seen, candidates.shape)
    return keep_best(scores, first, most)
