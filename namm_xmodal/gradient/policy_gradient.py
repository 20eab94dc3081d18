"""REINFORCE with a leave-one-out baseline: a gradient from the rewards of random evictions, without a backward pass."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.fitness.pool import TrainingSample
from namm_xmodal.fitness.population_run import PruningSettings, run_rows
from namm_xmodal.gradient.rollouts import Decisions, RolloutSettings, SampledEvictions
from namm_xmodal.gradient.sample import SampleGradient, Vector, wanted_threshold
from namm_xmodal.policies.namm import Namm, ThresholdSchedule


def policy_gradient(
    model: Any,
    sample: TrainingSample,
    base_score: float,
    parameters: Vector,
    policy: Namm,
    pruning: PruningSettings,
    *,
    schedule: ThresholdSchedule,
    budget: float,
    floor: int = 0,
    settings: RolloutSettings,
) -> SampleGradient:
    """Reads one sample `settings.rollouts` times, in one batch of the pruned engine, each time with evictions of its own.

    The reward of a rollout is the fitness of evolution: the probability of the answer over that of the full cache. The
    gradient is that of minus the mean reward, divided by the square root of the number of tokens judged: the sum over so
    many independent draws grows like that, and samples of all lengths weigh alike.

    Args:
        model: A causal language model in evaluation mode; its own attention, nothing of it is differentiated.
        sample: What to read and to score; longer than one update.
        base_score: Probability of the answer per token with the full cache.
        parameters: (N,) vector.
        policy: Whose features, scorer and statistics to use.
        pruning: Clock and protection.
        schedule: Tokens that score `schedule.at(tokens seen)` stay with a chance of one half.
        budget: The fraction of tokens that should be kept, for `SampleGradient.thresholds`.
        floor: Tokens that should be kept at least.
        settings: How evictions are drawn.

    Returns:
        Its loss is the mean of the rollouts; its size the expected one of the draws.
    """
    vector = torch.tensor(parameters, dtype=torch.float32, device=model.device, requires_grad=True)
    generator = torch.Generator().manual_seed(settings.seed)
    drawing = SampledEvictions(policy, vector.detach(), schedule, settings.temperature, generator)
    run = run_rows(model, sample, drawing, settings.rollouts, pruning)
    decisions = drawing.decisions
    tokens = sum(each.live.shape[1] * each.seen for each in decisions)  # of a full cache, per rollout
    rewards = torch.from_numpy(run.scores / base_score).to(vector)
    gradient, size = reinforce(decisions, rewards, policy, vector, settings.temperature)
    updates = sorted({each.seen for each in decisions})
    thresholds = {
        seen: _threshold(decisions, seen, policy, vector.detach(), pruning, budget, floor) for seen in updates
    }
    return SampleGradient(
        float(-np.log(run.scores).mean()),
        float(np.mean([_kept_fraction(each) for each in decisions if each.seen == updates[-1]])),
        {seen: at for seen, at in thresholds.items() if at is not None},
        (gradient / math.sqrt(tokens)).double().cpu().numpy(),
        (size / tokens).double().cpu().numpy(),
    )


def reinforce(
    decisions: Sequence[Decisions], rewards: Tensor, policy: Namm, vector: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Unbiased gradients of minus the expected reward, and of the expected number of tokens that draws keep.

    REINFORCE (Williams, 1992): the gradient is that of the log-probability of what was drawn, times the reward. Each reward
    is taken relative to the mean of the others (RLOO, arXiv 2402.14740), which changes the variance alone.

    Args:
        decisions: Everything that R rollouts drew.
        rewards: (R,).
        policy: Whose scorer to use.
        vector: (N,) parameters that were drawn with, to differentiate.
        temperature: That was drawn with.

    Returns:
        (N,) and (N,).
    """
    rollouts = len(rewards)
    advantages = (rewards - rewards.mean()) * (rollouts / (rollouts - 1))  # reward minus the mean of the others
    gradient, size = torch.zeros_like(vector), torch.zeros_like(vector)
    for each in decisions:  # one graph at a time
        with torch.enable_grad():
            logits = (each.scores(policy, vector) - each.threshold) / temperature
            drawn = F.logsigmoid(torch.where(each.kept, logits, -logits))  # (R, H, S) log-probability of each draw
            log_probability = torch.where(each.free, drawn, 0.0).sum((1, 2))  # (R,)
            loss = -(advantages * log_probability).mean()
            expected = torch.where(each.free, torch.sigmoid(logits), 0.0).sum() / rollouts
        gradient += torch.autograd.grad(loss, vector, retain_graph=True)[0]
        size += torch.autograd.grad(expected, vector)[0]
    return gradient, size


@torch.no_grad()
def _threshold(
    decisions: Sequence[Decisions],
    seen: int,
    policy: Namm,
    vector: Tensor,
    pruning: PruningSettings,
    budget: float,
    floor: int,
) -> float | None:
    """The threshold at which one update would have left the wanted tokens, rollouts, layers and heads pooled."""
    here = [each for each in decisions if each.seen == seen]
    scores = [each.scores(policy, vector)[each.free] for each in here]
    heads = sum(each.live.shape[0] * each.live.shape[1] for each in here)
    return wanted_threshold(scores, seen, heads, pruning.protect_first + pruning.protect_recent, budget, floor)


def _kept_fraction(decisions: Decisions) -> float:
    rollouts, heads, _ = decisions.kept.shape
    return float(decisions.kept.sum()) / (rollouts * heads * decisions.seen)
