"""What a differentiable pruned forward needs to know, and what it leaves behind."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor

from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.head_worth import HeadWorth
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.protocol import Observation, Policy, Rotary


@dataclass
class Trace:
    """One forward over one sample.

    Attributes:
        policy: Whose scores decide; with `parameters` a NAMM whose parts (features, scorer, statistics) are used.
        parameters: (N,) the vector to differentiate, instead of the NAMM's own; None: the policy is as it is.
        aim: Which tokens are kept.
        update_every: Tokens between updates.
        protect_first: Oldest tokens that always stay.
        protect_recent: Newest tokens that always stay.
        rotary: The model's rotary embedding, layer by layer.
        scores: Tokens seen -> detached scores of the evictable live tokens, one flat tensor per layer.
        kept: Tokens seen -> kept fraction of them, one number per layer.
        protected: Tokens seen -> live tokens that may not be evicted, summed over layers and heads.
        layers: Those that attended.
        tokens: Tokens that a full cache would hold, summed over layers, heads and updates.
        heads: Batch rows times kv heads of a layer.
        sizes: Soft sizes in tokens, with gradient, one per layer and update.
        worth: What finds out how much one more token in a head would be worth; None if nobody asks.
    """

    policy: Policy
    parameters: Tensor | None
    aim: Aim
    update_every: int
    protect_first: int
    protect_recent: int
    rotary: Sequence[Rotary | None]
    scores: dict[int, list[Tensor]] = field(default_factory=dict)
    kept: dict[int, list[float]] = field(default_factory=dict)
    protected: dict[int, int] = field(default_factory=dict)
    layers: set[int] = field(default_factory=set)
    tokens: int = 0
    heads: int = 0
    sizes: list[Tensor] = field(default_factory=list)
    worth: HeadWorth | None = None

    def scores_of(self, observation: Observation) -> Tensor:
        """(B, H, S) scores, with a gradient if there are parameters."""
        if self.parameters is None:
            return _finite(self.policy.score(observation), observation.live)
        assert isinstance(self.policy, Namm)
        return self.policy.score_with(observation, self.parameters[None, None])


def _finite(scores: Tensor, live: Tensor) -> Tensor:
    """The same order of live tokens without infinities, by which policies say "always" and "never"."""
    known = live & scores.isfinite()
    least = scores.masked_fill(~known, torch.inf).amin(-1, keepdim=True).nan_to_num(posinf=0.0)  # (B, H, 1)
    most = scores.masked_fill(~known, -torch.inf).amax(-1, keepdim=True).nan_to_num(neginf=0.0)
    return torch.where(scores.isposinf(), most + 1, torch.where(scores.isneginf(), least - 1, scores))


_ACTIVE: ContextVar[Trace | None] = ContextVar("namm_xmodal_gradient_trace", default=None)


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Makes `trace` the one that attention calls write to."""
    token = _ACTIVE.set(trace)
    try:
        yield trace
    finally:
        _ACTIVE.reset(token)


def active_trace() -> Trace | None:
    """The trace of the forward under way, None outside `tracing`."""
    return _ACTIVE.get()
