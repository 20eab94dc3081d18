"""Rollouts of many environments in one process, with one batched forward per step; finished episodes are frozen."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from namm_xmodal.arrays import FloatArray
from namm_xmodal.envs.agent import Actor, Agent, StepInput
from namm_xmodal.envs.episode import Episode, Stop
from namm_xmodal.envs.spaces import as_reward, as_state, size_of
from namm_xmodal.errors import ConfigError, NammError

TOKENS_PER_STEP = 3


@dataclass(frozen=True)
class Target:
    """What an agent is asked to reach.

    Attributes:
        total: The return asked for at the start.
        scale: Returns are divided by it before the agent sees them, as in its training.
        mode: `decrement` takes each reward off what is still wanted; `constant` leaves it (for delayed rewards).
    """

    total: float
    scale: float = 1000.0
    mode: Literal["decrement", "constant"] = "decrement"

    def __post_init__(self) -> None:
        """Refuses a scale that cannot divide.

        Raises:
            ConfigError: With the value given.
        """
        if not self.scale > 0:
            raise ConfigError(f"scale={self.scale}: expected a positive number, 1000 for the published checkpoints")


def rollout(
    environment: Callable[[], Any],
    agent: Agent,
    seeds: Sequence[int],
    target: Target,
    *,
    max_steps: int = 1000,
    batch: int = 8,
    on_progress: Callable[[int, int], None] = lambda step, running: None,
) -> Iterator[Episode]:
    """Runs one episode per seed and yields their records in the order of the seeds, batch by batch.

    The result of an episode does not depend on `batch`, as long as the agent keeps its rows apart.

    Args:
        environment: Makes a gymnasium environment; called once per episode of a batch.
        agent: Who acts.
        seeds: One per episode.
        target: What the agent is asked to reach.
        max_steps: Steps after which an episode is stopped.
        batch: Episodes at once.
        on_progress: Called after each step with its number and the episodes still running.

    Raises:
        ConfigError: If a number is out of range.
    """
    for name, value in (("max_steps", max_steps), ("batch", batch)):
        if value < 1:
            raise ConfigError(f"{name}={value}: expected at least 1")
    for start in range(0, len(seeds), batch):
        group = list(seeds[start : start + batch])
        running = [_Running(environment, seed) for seed in group]
        survivors: list[dict[str, Any] | None] = [None] * len(group)
        try:
            begun = [each for each in running if each.stop is None]
            if begun:
                for each in running:
                    if each.stop is not None:  # a row that is fed and ignored, as that of an episode that has ended
                        each.state = np.zeros_like(begun[0].state)
                with agent.begin(len(group)) as actor:
                    _play(running, actor, target, max_steps, on_progress)
                    survivors = [actor.survivors(row) for row in range(len(group))]
        finally:
            for each in running:
                each.close()
        name = next((_id(each.environment) for each in running if each.environment is not None), "")
        yield from (each.record(name, seen) for each, seen in zip(running, survivors, strict=True))


@dataclass
class _Running:
    """One episode under way; whatever goes wrong in it ends this episode and no other."""

    make: Callable[[], Any]
    seed: int
    environment: Any = None
    state: FloatArray = field(default_factory=lambda: np.zeros(0))
    rewards: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    stop: Stop | None = None
    message: str = ""

    def __post_init__(self) -> None:
        try:
            self.environment = self.make()
            size_of(self.environment.action_space, "actions")
            observation, _ = self.environment.reset(seed=self.seed)
            self.state = as_state(observation, size_of(self.environment.observation_space, "states"))
        except Exception as error:  # an environment may raise anything
            self._fail(f"the environment did not start: {_named(error)}")

    def step(self, action: FloatArray) -> None:
        """Takes an action."""
        if not np.isfinite(action).all():
            self._fail("the agent's action is not finite")
            return
        space = self.environment.action_space
        try:
            clipped = np.clip(action.reshape(space.shape), space.low, space.high).astype(space.dtype)
            observation, reward, terminated, truncated, _ = self.environment.step(clipped)
            state, reward = as_state(observation, len(self.state)), as_reward(reward)
            ended: Stop | None = "terminated" if terminated else "truncated" if truncated else None
        except Exception as error:
            self._fail(f"the environment stopped: {_named(error)}")
            return
        self.state, self.stop = state, ended
        self.rewards.append(reward)

    def close(self) -> None:
        """Closes the environment; an episode that is over cannot fail any more."""
        with suppress(Exception):
            self.environment.close()

    def _fail(self, message: str) -> None:
        self.stop, self.message = "failed", f"step {len(self.rewards)}: {message}"

    def record(self, environment: str, survivors: dict[str, Any] | None) -> Episode:
        """What became of it."""
        return Episode(
            environment=environment,
            seed=self.seed,
            total=float(sum(self.rewards)),
            length=len(self.rewards),
            tokens_seen=max(0, TOKENS_PER_STEP * len(self.kept) - 1),
            kept_end=self.kept[-1] if self.kept else 0.0,
            kept_mean=float(np.mean(self.kept)) if self.kept else 0.0,
            stop=self.stop or "limit",
            message=self.message,
            survivors=survivors,
        )


def _play(
    running: list[_Running], actor: Actor, target: Target, max_steps: int, on_progress: Callable[[int, int], None]
) -> None:
    wanted = np.full(len(running), target.total / target.scale)
    actions: FloatArray | None = None
    for step in range(max_steps):
        states = np.stack([each.state for each in running])
        alive = np.array([each.stop is None for each in running])
        actions = actor.act(StepInput(step, states, wanted.copy(), actions, alive))
        kept = actor.kept()
        for row, each in enumerate(running):
            if each.stop is not None:
                continue
            each.kept.append(float(kept[row]))
            each.step(actions[row])
            if target.mode == "decrement" and each.stop is None:
                wanted[row] -= each.rewards[-1] / target.scale
        actions = np.nan_to_num(actions)
        left = sum(each.stop is None for each in running)
        on_progress(step, left)
        if left == 0:
            return


def _id(environment: Any) -> str:
    return str(environment.spec.id) if environment.spec is not None else type(environment.unwrapped).__name__


def _named(error: Exception) -> str:
    """An exception on one line; our own without its name."""
    text = " ".join(str(error).split())[:200]
    return text if isinstance(error, NammError) else f"{type(error).__name__}: {text}"
