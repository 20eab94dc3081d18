"""Asks a policy for scores and for its choice, and validates both at every update."""

import torch
from torch import Tensor

from namm_xmodal.errors import ContractError
from namm_xmodal.policies.protocol import Candidates, Observation, Policy


def checked_scores(policy: Policy, observation: Observation) -> Tensor:
    """(B, H, S) scores.

    Infinities pass, since a policy may mean "always" and "never" by them; a comparison with NaN means nothing.

    Raises:
        ContractError: If they are not floats of this shape, or NaN where a token lives.
    """
    live, scores = observation.live, policy.score(observation)
    found = _kind(scores)
    if found != f"floats {tuple(live.shape)}":
        raise _broken(policy, "scores", f"{found} {_where(observation)}; expected floats {tuple(live.shape)}")
    missing = scores.isnan() & live
    if bool(missing.any()):
        given = observation.keys.isfinite().all(-1) & observation.values.isfinite().all(-1)
        hint = (
            "expected numbers; -inf and inf are allowed"
            if bool(given[live].all())
            else "keys or values are not finite; check the model's weights and dtype"
        )
        count = f"{int(missing.sum())} of {int(live.sum())} live tokens"
        raise _broken(policy, "scores", f"NaN for {count} {_where(observation)}; {hint}")
    return scores


def checked_keep(policy: Policy, scores: Tensor, candidates: Candidates) -> Tensor:
    """(B, H, S) bool: which tokens stay.

    Raises:
        ContractError: If it is anything else.
    """
    keep, wanted = policy.keep(scores, candidates), f"bools {tuple(candidates.live.shape)}"
    if (found := _kind(keep)) != wanted:
        raise _broken(policy, "keep", f"{found} {_where(candidates)}; expected {wanted}")
    return keep


def _kind(given: object) -> str:
    """What was returned, in words; a subclass of a tensor is one."""
    if not isinstance(given, Tensor):
        return f"a value of type {type(given).__name__}"
    dtype = "bools" if given.dtype == torch.bool else "floats" if given.is_floating_point() else str(given.dtype)
    return f"{dtype} {tuple(given.shape)}"


def _where(place: Observation | Candidates) -> str:
    return f"in layer {place.shape.layer} after {place.seen} tokens"


def _broken(policy: Policy, clause: str, found: str) -> ContractError:
    return ContractError(f"{type(policy).__name__} breaks the clause '{clause}': {found}")
