"""What a behaviour policy does in an environment, as trajectories."""

from collections.abc import Callable
from typing import Any

import numpy as np

from namm_xmodal.envs.behaviour.policy import BehaviourPolicy
from namm_xmodal.envs.spaces import as_reward, as_state, size_of
from namm_xmodal.envs.trajectories import Trajectory
from namm_xmodal.errors import ConfigError


def record_episode(
    environment: Any, policy: BehaviourPolicy, seed: int, noise: float = 0.0, max_steps: int = 1000
) -> Trajectory:
    """Plays one episode.

    Args:
        environment: A gymnasium environment.
        policy: Who acts.
        seed: Of the reset and of the noise.
        noise: Uniform noise in [-noise, noise] is added to each action before it is clipped.
        max_steps: Steps after which it is stopped.

    Raises:
        ConfigError: If the policy's sizes are not the environment's, or its states or actions are not vectors.
        DataError: If the environment gives no numbers.
    """
    state_dim, act_dim = size_of(environment.observation_space, "states"), size_of(environment.action_space, "actions")
    if not policy.takes(state_dim) or policy.act_dim != act_dim:
        raise ConfigError(
            f"policy {policy.name}: takes {policy.inputs} and returns {policy.act_dim} numbers, but this environment "
            f"has states of {state_dim} and actions of {act_dim}"
        )
    rng = np.random.default_rng((seed, 7))
    observation, _ = environment.reset(seed=seed)
    observations, actions, rewards = [], [], []
    terminated = False
    for step in range(max_steps):
        state = as_state(observation, state_dim)
        action = policy.act(state, step)
        if noise:
            action = np.clip(action + rng.uniform(-noise, noise, act_dim), -1.0, 1.0)
        observations.append(state.astype(np.float32))
        actions.append(action.astype(np.float32))
        observation, reward, terminated, truncated, _ = environment.step(
            actions[-1].reshape(environment.action_space.shape)
        )
        rewards.append(np.float32(as_reward(reward)))
        if terminated or truncated:
            break
    return Trajectory(np.stack(observations), np.stack(actions), np.array(rewards, dtype=np.float32), bool(terminated))


def mean_return(
    make: Callable[[], Any], policy: BehaviourPolicy, episodes: int, seed: int, max_steps: int = 1000
) -> float:
    """Mean return of noise-free episodes with seeds `seed`, `seed + 1`, ..."""
    environment = make()
    try:
        totals = [record_episode(environment, policy, seed + i, max_steps=max_steps).total for i in range(episodes)]
    finally:
        environment.close()
    return float(np.mean(totals))
