"""What a differentiable pruned forward needs to know, and what it leaves behind."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from torch import Tensor

from namm_xmodal.policies.namm import Namm, ThresholdSchedule
from namm_xmodal.policies.protocol import Rotary


@dataclass
class Trace:
    """One forward over one sample.

    Attributes:
        policy: The NAMM whose parts (features, scorer, statistics) are used; its own parameters are not.
        parameters: (N,) the vector to differentiate.
        schedule: Tokens that score at least `schedule.at(tokens seen)` are kept.
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
    """

    policy: Namm
    parameters: Tensor
    schedule: ThresholdSchedule
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
