"""Loss of one sample under a NAMM, and its gradient with respect to the NAMM's parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.adapters.rotary import check_provides
from namm_xmodal.errors import UnsupportedModelError
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.attention import STRAIGHT_THROUGH
from namm_xmodal.gradient.head_worth import HeadWorth
from namm_xmodal.gradient.trace import Trace, tracing
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.protocol import Policy

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SampleGradient:
    """What one sample says.

    Attributes:
        loss: Of the sample, nats; for a task of its answer, per token.
        kept: Kept fraction after the last update, averaged over layers and heads.
        thresholds: Tokens seen -> the threshold at which the wanted number of tokens would have been kept in that
            update, layers and heads pooled; without the updates where even everything is less than wanted, and without
            any where every head has a threshold of its own.
        gradient: (N,) of the loss.
        size_gradient: (N,) of the soft size; zero where every head keeps just so many tokens.
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
    vector = torch.tensor(parameters, dtype=torch.float32, device=lesson.model.device, requires_grad=True)
    with pruned_loss(lesson, policy, aim, vector) as (loss, trace):
        size = torch.zeros_like(vector)
        if not aim.per_head:
            (size,) = torch.autograd.grad(torch.stack(trace.sizes).sum() / trace.tokens, vector, retain_graph=True)
        (gradient,) = torch.autograd.grad(loss, vector)
    last = max(trace.kept)
    thresholds = {
        seen: aim.wanted(scores, seen, len(scores) * trace.heads, trace.protected[seen])
        for seen, scores in trace.scores.items()
    }
    return SampleGradient(
        float(loss.detach()),
        float(np.mean(trace.kept[last])),
        {seen: at for seen, at in thresholds.items() if at is not None},
        gradient.double().cpu().numpy(),
        size.double().cpu().numpy(),
        lesson.source,
    )


@contextmanager
def pruned_loss(
    lesson: Lesson, policy: Policy, aim: Aim, parameters: Tensor | None = None, worth: HeadWorth | None = None
) -> Iterator[tuple[Tensor, Trace]]:
    """One forward pass over one sample, under evictions that gradients pass through while the block lasts.

    Args:
        lesson: What to read and to score.
        policy: Whose scores decide.
        aim: Which tokens are kept, and how many should be.
        parameters: (N,) of a NAMM, to differentiate; None: the policy as it is.
        worth: To find out what one more token in each head would be worth.

    Yields:
        The loss, with a graph, and what was seen on the way.

    Raises:
        UnsupportedModelError: If the model has attention that gradients do not cover, or lacks what the policy reads.
    """
    model, adapter, pruning = lesson.model, lesson.adapter, lesson.pruning
    rotary, config = adapter.rotary(model), adapter.decoder(model).config
    attending, layers = adapter.num_layers(model), getattr(config, "num_hidden_layers", None)
    if layers not in (None, attending):
        raise UnsupportedModelError(
            f"{type(model).__name__}: only {attending} of {layers} layers have keys and values, but gradients need "
            "all; use evolution for this model"
        )
    check_provides(policy.reads, rotary, type(model).__name__)
    protected = (pruning.protect_first, pruning.protect_recent)
    trace = Trace(policy, parameters, aim, pruning.update_every, *protected, rotary, worth=worth)
    with differentiable(model, adapter), tracing(trace), torch.enable_grad():
        cache = DynamicCache(config=config)  # without one, odd positions may mean packed texts
        loss = lesson.loss(adapter.forward(model, lesson.inputs, cache))
        if len(trace.layers) < adapter.num_layers(model):
            raise UnsupportedModelError(
                f"{type(model).__name__}: {len(trace.layers)} of {adapter.num_layers(model)} layers attend through "
                "transformers' attention interface, but gradients need all; use evolution for this model"
            )
        yield loss, trace


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
