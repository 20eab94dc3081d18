"""Loss of one sample under a NAMM, and its gradient with respect to the NAMM's parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.adapters.rotary import check_provides
from namm_xmodal.errors import UnsupportedModelError
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.gradient.attention import STRAIGHT_THROUGH
from namm_xmodal.gradient.trace import Trace, tracing
from namm_xmodal.policies.namm import Namm, ThresholdSchedule

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Aim:
    """How much of the cache is kept at present, and how much should be.

    Attributes:
        schedule: Tokens that score at least `schedule.at(tokens seen)` are kept.
        budget: Fraction of the tokens seen that should be, for `SampleGradient.thresholds`.
        floor: Tokens that should be, at least: a quarter of the first 128 tokens is less than a recent sentence and the
            fact before it, and later caches are not smaller for it.
    """

    schedule: ThresholdSchedule
    budget: float
    floor: int = 0


@dataclass(frozen=True)
class SampleGradient:
    """What one sample says.

    Attributes:
        loss: Of the sample, nats; for a task of its answer, per token.
        kept: Kept fraction after the last update, averaged over layers and heads.
        thresholds: Tokens seen -> the threshold at which the wanted number of tokens would have been kept in that
            update, layers and heads pooled; without the updates where even everything is less than wanted.
        gradient: (N,) of the loss.
        size_gradient: (N,) of the soft size.
        source: Whose thresholds these are; see `Lesson`.
    """

    loss: float
    kept: float
    thresholds: dict[int, float]
    gradient: Vector
    size_gradient: Vector
    source: str = ""


def sample_gradient(lesson: Lesson, parameters: Vector, policy: Namm, aim: Aim) -> SampleGradient:
    """One forward and one backward pass over one sample.

    Args:
        lesson: What to read and to score.
        parameters: (N,) vector.
        policy: Whose features, scorer and statistics to use.
        aim: Which tokens are kept, and how many should be.

    Raises:
        UnsupportedModelError: If the model has attention that gradients do not cover.
    """
    model, adapter, pruning = lesson.model, lesson.adapter, lesson.pruning
    vector = torch.tensor(parameters, dtype=torch.float32, device=model.device, requires_grad=True)
    rotary = adapter.rotary(model)
    check_provides(policy.reads, rotary, type(model).__name__)
    trace = Trace(
        policy, vector, aim.schedule, pruning.update_every, pruning.protect_first, pruning.protect_recent, rotary
    )
    with differentiable(model, adapter), tracing(trace), torch.enable_grad():
        cache = DynamicCache(config=adapter.decoder(model).config)  # without one, odd positions may mean packed texts
        loss = lesson.loss(adapter.forward(model, lesson.inputs, cache))
        if len(trace.layers) < adapter.num_layers(model):
            raise UnsupportedModelError(
                f"{type(model).__name__}: {len(trace.layers)} of {adapter.num_layers(model)} layers attend through "
                "transformers' attention interface, so gradients of evictions cannot pass; use evolution for this model"
            )
        (size,) = torch.autograd.grad(torch.stack(trace.sizes).sum() / trace.tokens, vector, retain_graph=True)
        (gradient,) = torch.autograd.grad(loss, vector)
    last = max(trace.kept)
    return SampleGradient(
        float(loss.detach()),
        float(np.mean(trace.kept[last])),
        {seen: at for seen in trace.scores if (at := _threshold_for(trace, seen, aim)) is not None},
        gradient.double().cpu().numpy(),
        size.double().cpu().numpy(),
        lesson.source,
    )


def _threshold_for(trace: Trace, seen: int, aim: Aim) -> float | None:
    """Quantile of the scores of one update that leaves the wanted tokens, layers and heads pooled."""
    parts = trace.scores[seen]
    heads = len(parts) * trace.heads
    protected = trace.protected[seen] / heads
    keep = round((max(aim.budget * seen, min(aim.floor, seen)) - protected) * heads)
    scores = torch.cat(parts)
    if keep >= scores.numel() or not scores.numel():
        return None
    return float(scores.kthvalue(scores.numel() - max(0, keep)).values)


@contextmanager
def differentiable(model: Any, adapter: Adapter) -> Iterator[None]:
    """Switches a model to straight-through attention and freezes its weights for the length of a `with` block."""
    before, wanted = adapter.current_implementation(model), [p.requires_grad for p in model.parameters()]
    model.requires_grad_(False)
    model.set_attn_implementation(adapter.attention_implementation(model, STRAIGHT_THROUGH))
    try:
        yield
    finally:
        model.set_attn_implementation(before)
        for parameter, value in zip(model.parameters(), wanted, strict=True):
            parameter.requires_grad_(value)
