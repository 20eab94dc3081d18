"""Loss of one sample under a NAMM, and its gradient with respect to the NAMM's parameters."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from namm_xmodal.adapters.rotary import check_provides
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.fitness.pool import TrainingSample
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.gradient.attention import STRAIGHT_THROUGH
from namm_xmodal.gradient.trace import Trace, tracing
from namm_xmodal.policies.namm import Namm, ThresholdSchedule

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SampleGradient:
    """What one sample says.

    Attributes:
        loss: Negative log-likelihood of the answer, nats per token.
        kept: Kept fraction after the last update, averaged over layers and heads.
        thresholds: Tokens seen -> the threshold at which the wanted number of tokens would have been kept in that
            update, layers and heads pooled; without the updates where even everything is less than wanted.
        gradient: (N,) of the loss.
        size_gradient: (N,) of the soft size.
    """

    loss: float
    kept: float
    thresholds: dict[int, float]
    gradient: Vector
    size_gradient: Vector


def sample_gradient(
    model: Any,
    sample: TrainingSample,
    parameters: Vector,
    policy: Namm,
    pruning: PruningSettings,
    *,
    schedule: ThresholdSchedule,
    budget: float,
    floor: int = 0,
) -> SampleGradient:
    """One forward and one backward pass over one sample.

    Args:
        model: A causal language model, switched by `differentiable`.
        sample: What to read and to score; longer than one update.
        parameters: (N,) vector.
        policy: Whose features, scorer and statistics to use.
        pruning: Clock and protection.
        schedule: Tokens that score at least `schedule.at(tokens seen)` are kept.
        budget: The fraction of tokens that should be kept, for `SampleGradient.thresholds`.
        floor: Tokens that should be kept at least: a quarter of the first 128 tokens is less than a recent sentence and
            the fact before it, and later caches are not smaller for it.
    """
    vector = torch.tensor(parameters, dtype=torch.float32, device=model.device, requires_grad=True)
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]], device=model.device)
    answer = torch.tensor(sample.answer, device=model.device)
    rotary = find_adapter(model).rotary(model)
    check_provides(policy.reads, rotary, type(model).__name__)
    trace = Trace(policy, vector, schedule, pruning.update_every, pruning.protect_first, pruning.protect_recent, rotary)
    with tracing(trace), torch.enable_grad():
        embedded = model.get_input_embeddings()(ids)
        logits = model(inputs_embeds=embedded, use_cache=False, logits_to_keep=len(answer)).logits[0]
        loss = (
            -logits.to(torch.promote_types(logits.dtype, torch.float32))
            .log_softmax(-1)
            .gather(-1, answer[:, None])
            .mean()
        )
        (size,) = torch.autograd.grad(torch.stack(trace.sizes).sum() / trace.tokens, vector, retain_graph=True)
        (gradient,) = torch.autograd.grad(loss, vector)
    last, protected = max(trace.kept), pruning.protect_first + pruning.protect_recent
    thresholds = {
        seen: wanted_threshold(scores, seen, len(scores) * trace.heads, protected, budget, floor)
        for seen, scores in trace.scores.items()
    }
    return SampleGradient(
        float(loss.detach()),
        float(np.mean(trace.kept[last])),
        {seen: at for seen, at in thresholds.items() if at is not None},
        gradient.double().cpu().numpy(),
        size.double().cpu().numpy(),
    )


def wanted_threshold(
    scores: Sequence[Tensor], seen: int, heads: int, protected: int, budget: float, floor: int
) -> float | None:
    """Quantile of the scores of one update that leaves the wanted tokens, layers and heads pooled.

    Args:
        scores: Of the live tokens that are not protected, flat.
        seen: Tokens seen.
        heads: Batch rows times kv heads, summed over layers.
        protected: Tokens of each that always stay.
        budget: Wanted fraction of the tokens seen.
        floor: Wanted tokens at least.

    Returns:
        None if even all of them are less than wanted.
    """
    keep = round((max(budget * seen, min(floor, seen)) - min(seen, protected)) * heads)
    pooled = torch.cat(list(scores))
    if keep >= pooled.numel():
        return None
    return float(pooled.kthvalue(pooled.numel() - max(0, keep)).values)


@contextmanager
def differentiable(model: Any) -> Iterator[None]:
    """Switches a model to straight-through attention and freezes its weights for the length of a `with` block."""
    before, wanted = model.config._attn_implementation, [p.requires_grad for p in model.parameters()]
    model.requires_grad_(False)
    model.set_attn_implementation(STRAIGHT_THROUGH)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
        for parameter, value in zip(model.parameters(), wanted, strict=True):
            parameter.requires_grad_(value)
