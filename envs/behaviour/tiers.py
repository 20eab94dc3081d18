"""Datasets of different quality from a set of rated policies, as D4RL has them: expert, medium, medium-replay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from namm_xmodal.envs.behaviour.policy import BehaviourPolicy
from namm_xmodal.envs.behaviour.record import record_episode
from namm_xmodal.envs.trajectories import Trajectories
from namm_xmodal.errors import DataError

Tier = Literal["medium-replay", "medium", "expert"]
TIERS: tuple[Tier, ...] = ("medium-replay", "medium", "expert")
NOISE = 0.1  # of medium and expert: more makes linear policies fall
REPLAY_NOISE = 0.3  # medium-replay's noise is drawn from [0, this] for each episode, as if learning went on


@dataclass(frozen=True)
class Rated:
    """A policy and the mean return of its noise-free episodes."""

    policy: BehaviourPolicy
    mean: float


def choose(rated: Sequence[Rated]) -> dict[Tier, list[BehaviourPolicy]]:
    """Which policies make which tier.

    `expert` is the best policy; `medium` the one whose return is nearest to half of the expert's; `medium-replay` every
    policy no better than medium: what a learner on its way to medium would have played.

    Raises:
        DataError: If there are fewer than two policies.
    """
    if len(rated) < 2:
        raise DataError(f"{len(rated)} policies: expected at least two with different returns to make tiers")
    best = max(rated, key=lambda each: each.mean)
    others = [each for each in rated if each is not best]
    medium = min(others, key=lambda each: abs(each.mean - best.mean / 2))
    replay = sorted((each for each in others if each.mean <= medium.mean), key=lambda each: each.mean)
    return {"medium-replay": [each.policy for each in replay], "medium": [medium.policy], "expert": [best.policy]}


def record_tier(
    make: Callable[[], Any],
    tier: Tier,
    policies: Sequence[BehaviourPolicy],
    episodes: int,
    seed: int,
    environment: str,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Trajectories:
    """Plays a tier's episodes, in turn by each of its policies.

    Args:
        make: Makes the environment.
        tier: Which; decides the noise.
        policies: Who plays.
        episodes: How many.
        seed: The episodes' seeds are drawn from it and from the tier's name.
        environment: Gymnasium id, for the record.
        on_progress: Called with the number of episodes done.
    """
    rng = np.random.default_rng((seed, TIERS.index(tier)))
    made, world = [], make()
    try:
        for i in range(episodes):
            noise = float(rng.uniform(0, REPLAY_NOISE)) if tier == "medium-replay" else NOISE
            made.append(record_episode(world, policies[i % len(policies)], int(rng.integers(2**31)), noise))
            on_progress(i + 1)
    finally:
        world.close()
    names = ", ".join(policy.name for policy in policies)
    return Trajectories(tuple(made), environment, f"{tier} tier played by {names}")
