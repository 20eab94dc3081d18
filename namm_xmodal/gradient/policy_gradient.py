"""REINFORCE with a leave-one-out baseline: a gradient from the rewards of random evictions, without a backward pass."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.evolution.objective import ShardResult
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.rollouts import Decisions, RolloutSettings, SampledEvictions
from namm_xmodal.gradient.sample import SampleGradient, Vector
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.protocol import Policy


def policy_gradient(
    lesson: Lesson,
    run: Callable[[Policy, int], ShardResult],
    parameters: Vector,
    policy: Namm,
    aim: Aim,
    settings: RolloutSettings,
    seed: int,
) -> SampleGradient:
    """Reads one sample `settings.rollouts` times, in one batch of the pruned engine, each time with its own evictions.

    The reward of a rollout is the fitness of evolution: the score over that of the full cache. The gradient is that of
    minus the mean reward, divided by the square root of the number of tokens judged: the sum over so many independent
    draws grows like that, and samples of all lengths weigh alike.

    Args:
        lesson: The sample; nothing of its model is differentiated.
        run: Scores a policy on it, in so many rows.
        parameters: (N,) vector.
        policy: Whose features, scorer and statistics to use.
        aim: Tokens at its threshold stay with a chance of one half.
        settings: How evictions are drawn.
        seed: Of the draws.

    Returns:
        Its loss is the mean of the rollouts; its size the expected one of the draws.
    """
    vector = torch.tensor(parameters, dtype=torch.float32, device=lesson.model.device, requires_grad=True)
    generator = torch.Generator().manual_seed(seed)
    drawing = SampledEvictions(policy, vector.detach(), aim, settings.temperature, generator)
    result = run(drawing, settings.rollouts)
    decisions, scores = drawing.decisions, result.scores[:, 0]
    tokens = sum(each.live.shape[1] * each.seen for each in decisions)  # of a full cache, per rollout
    rewards = torch.from_numpy(scores / result.base[0]).to(vector)
    gradient, size = reinforce(decisions, rewards, policy, vector, settings.temperature)
    updates = sorted({each.seen for each in decisions})
    thresholds = {seen: _wanted(decisions, seen, policy, vector.detach(), aim) for seen in updates}
    size = torch.zeros_like(size) if aim.per_head else size  # zero but for rounding, which is no direction
    return SampleGradient(
        float(-np.log(np.maximum(scores, np.finfo(np.float64).tiny)).mean()),
        float(np.mean([_kept_fraction(each) for each in decisions if each.seen == updates[-1]])),
        {seen: at for seen, at in thresholds.items() if at is not None},
        (gradient / math.sqrt(tokens)).double().cpu().numpy(),
        (size / tokens).double().cpu().numpy(),
        lesson.source,
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
            logits = each.logits(policy, vector, temperature)
            drawn = F.logsigmoid(torch.where(each.kept, logits, -logits))  # (R, H, S) log-probability of each draw
            log_probability = torch.where(each.free, drawn, 0.0).sum((1, 2))  # (R,)
            loss = -(advantages * log_probability).mean()
            expected = torch.where(each.free, torch.sigmoid(logits), 0.0).sum() / rollouts
        gradient += torch.autograd.grad(loss, vector, retain_graph=True)[0]
        size += torch.autograd.grad(expected, vector)[0]
    return gradient, size


@torch.no_grad()
def _wanted(decisions: Sequence[Decisions], seen: int, policy: Namm, vector: Tensor, aim: Aim) -> float | None:
    """The threshold at which one update would have left the wanted tokens, rollouts, layers and heads pooled."""
    here = [each for each in decisions if each.seen == seen]
    scores = [each.scores(policy, vector)[each.free] for each in here]
    heads = sum(each.live.shape[0] * each.live.shape[1] for each in here)
    protected = sum(int((each.live & ~each.free).sum()) for each in here)
    return aim.wanted(scores, seen, heads, protected)


def _kept_fraction(decisions: Decisions) -> float:
    rollouts, heads, _ = decisions.kept.shape
    return float(decisions.kept.sum()) / (rollouts * heads * decisions.seen)
