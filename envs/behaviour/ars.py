"""Augmented random search, V2-t (Mania, Guy and Recht, arXiv 1803.07055): linear policies by finite differences, in numpy.

Written to be resumed: everything drawn in an iteration comes from a generator seeded by (seed, iteration), and the state
between iterations is one file.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from namm_xmodal.arrays import FloatArray
from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.envs.behaviour.policy import BehaviourPolicy, Normalisation, read_npz, write_npz
from namm_xmodal.envs.behaviour.record import mean_return
from namm_xmodal.envs.spaces import size_of
from namm_xmodal.errors import DataError
from namm_xmodal.trust.archive import read_npz as read_arrays
from namm_xmodal.trust.files import refusing
from namm_xmodal.trust.json_text import parse_json
from namm_xmodal.types import OnProgress


@dataclass(frozen=True)
class ArsRecipe:
    """Hyper-parameters, table 9 of the paper.

    Attributes:
        steps: Environment steps to spend.
        directions: Directions per iteration, each tried forth and back.
        best: Of which the best enter the step.
        step_size: Alpha.
        noise: Nu, deviation of the directions.
        alive_bonus: Taken off each reward while searching, since it rewards standing still (1 for Hopper and Walker2d).
        evaluate_every: Iterations between evaluations; each makes a rung of the ladder.
        evaluation_episodes: Noise-free episodes of an evaluation.
        restart: (steps, return): if no rung reached the return after that many steps, start again from another seed; the
            search on Hopper depends on its seed.
    """

    steps: int
    directions: int
    best: int
    step_size: float
    noise: float
    alive_bonus: float = 0.0
    evaluate_every: int = 10
    evaluation_episodes: int = 3
    restart: tuple[int, float] | None = None


RECIPES: dict[str, ArsRecipe] = {
    "hopper": ArsRecipe(1_200_000, 8, 4, 0.01, 0.025, 1.0, 10, 3, (600_000, 1000.0)),
    "halfcheetah": ArsRecipe(4_000_000, 32, 4, 0.02, 0.03, 0.0, 3, 3),
    "walker2d": ArsRecipe(8_000_000, 40, 30, 0.03, 0.025, 1.0, 10, 3),
}
"""By environment. Walker2d needs several million steps; `prepare rl` reads it from a folder of policies instead."""


@dataclass(frozen=True)
class Rung:
    """One policy of the ladder that a search climbs.

    Attributes:
        steps: Environment steps spent before it.
        mean: Mean return of its evaluation.
        policy: The policy.
    """

    steps: int
    mean: float
    policy: BehaviourPolicy


class _Running:
    """Mean and variance of all states seen (Welford)."""

    def __init__(self, size: int) -> None:
        self.count, self.mean, self.squares = 0.0, np.zeros(size), np.zeros(size)

    def add(self, state: FloatArray) -> None:
        self.count += 1
        shift = state - self.mean
        self.mean += shift / self.count
        self.squares += shift * (state - self.mean)

    def normalisation(self) -> Normalisation:
        """As V2 has it: channels that do not vary (fewer than two states) are left alone."""
        var = self.squares / max(1.0, self.count - 1)
        var = np.where(var < 1e-14, 1.0, var) if self.count > 1 else np.ones_like(var)
        return Normalisation(self.mean.copy(), var, 0.0, np.inf)


def search(
    make: Callable[[], Any],
    recipe: ArsRecipe,
    seed: int,
    folder: Path,
    on_progress: OnProgress = lambda done, total, what: None,
) -> list[Rung]:
    """Runs the search, or the rest of it, and returns its ladder, oldest rung first.

    Args:
        make: Makes the environment.
        recipe: What to spend.
        seed: Of everything drawn.
        folder: Where state and rungs are kept; a search that was stopped goes on from there.
        on_progress: Called after each iteration as `on_progress(steps, total, what)`.

    Raises:
        DataError: If the folder holds the state of another search.
    """
    state = _State.load(folder, recipe, seed) or _State.fresh(make, recipe, seed)
    environment = make()
    try:
        while state.steps < recipe.steps:
            if state.iteration % recipe.evaluate_every == 0:
                _evaluate(make, recipe, state, folder)
            if recipe.restart is not None and state.steps >= recipe.restart[0] and state.best() < recipe.restart[1]:
                state.start_again(recipe)
            _iterate(environment, recipe, state)
            if state.iteration % recipe.evaluate_every == 0:
                state.save(folder, recipe)
            on_progress(min(state.steps, recipe.steps), recipe.steps, f"ARS, best {state.best():.0f}")
        if state.ladder[-1]["steps"] != state.steps:
            _evaluate(make, recipe, state, folder)
            state.save(folder, recipe)
    finally:
        environment.close()
    return [Rung(each["steps"], each["mean"], read_npz(folder / each["file"])) for each in state.ladder]


@dataclass
class _State:
    """What a search is at between two iterations."""

    seed: int
    attempt: int
    iteration: int
    steps: int
    weights: FloatArray
    running: _Running
    ladder: list[dict[str, Any]]

    @classmethod
    def fresh(cls, make: Callable[[], Any], recipe: ArsRecipe, seed: int) -> "_State":
        environment = make()
        sizes = size_of(environment.action_space, "actions"), size_of(environment.observation_space, "states")
        environment.close()
        return cls(seed, 0, 0, 0, np.zeros(sizes), _Running(sizes[1]), [])

    def start_again(self, recipe: ArsRecipe) -> None:
        """Another seed; steps spent so far do not count, rungs climbed stay."""
        self.attempt, self.iteration, self.steps = self.attempt + 1, 0, 0
        self.weights, self.running = np.zeros_like(self.weights), _Running(self.weights.shape[1])

    def best(self) -> float:
        means = [each["mean"] for each in self.ladder if each["attempt"] == self.attempt]
        return max(means, default=-np.inf)

    def save(self, folder: Path, recipe: ArsRecipe) -> None:
        header = {
            "recipe": repr(recipe),
            "seed": self.seed,
            "attempt": self.attempt,
            "iteration": self.iteration,
            "steps": self.steps,
            "ladder": self.ladder,
        }
        with replacing(folder / "state.npz") as part:
            np.savez(
                part,
                header=json.dumps(header),
                weights=self.weights,
                count=self.running.count,
                mean=self.running.mean,
                squares=self.running.squares,
            )

    @classmethod
    def load(cls, folder: Path, recipe: ArsRecipe, seed: int) -> "_State | None":
        path = folder / "state.npz"
        if not path.exists():
            return None
        arrays = read_arrays(path, error=DataError, expected="the state of a search")
        with refusing(path, error=DataError, expected="the state of a search"):
            header = parse_json(str(arrays["header"]))
            if (header["recipe"], header["seed"]) != (repr(recipe), seed):
                raise DataError(f"{path}: belongs to another search; remove the folder, or use another one")
            running = _Running(len(arrays["mean"]))
            running.count, running.mean, running.squares = float(arrays["count"]), arrays["mean"], arrays["squares"]
            return cls(
                seed,
                header["attempt"],
                header["iteration"],
                header["steps"],
                arrays["weights"],
                running,
                header["ladder"],
            )


def _evaluate(make: Callable[[], Any], recipe: ArsRecipe, state: _State, folder: Path) -> None:
    policy = _policy(state, f"ars-{len(state.ladder):03d}")
    mean = mean_return(make, policy, recipe.evaluation_episodes, 10_000 + state.seed)
    write_npz(policy, folder / f"{policy.name}.npz")
    entry = {"steps": state.steps, "mean": mean, "file": f"{policy.name}.npz", "attempt": state.attempt}
    state.ladder.append(entry)


def _policy(state: _State, name: str) -> BehaviourPolicy:
    zero = np.zeros(len(state.weights))
    return BehaviourPolicy(name, (state.weights.copy(),), (zero,), normalisation=state.running.normalisation())


def _iterate(environment: Any, recipe: ArsRecipe, state: _State) -> None:
    """One update of the weights: algorithm 2 of the paper."""
    rng = np.random.default_rng((state.seed, state.attempt, state.iteration))
    deltas = rng.standard_normal((recipe.directions, *state.weights.shape))  # (N, act_dim, state_dim)
    normalisation = state.running.normalisation()
    mean, factor = normalisation.mean, 1.0 / np.sqrt(normalisation.var)
    rewards = np.empty((recipe.directions, 2))
    for i, delta in enumerate(deltas):
        reset = int(rng.integers(2**31))
        for side, sign in enumerate((1.0, -1.0)):
            weights = state.weights + sign * recipe.noise * delta
            rewards[i, side], steps = _try(environment, weights, mean, factor, state.running, recipe, reset + side)
            state.steps += steps
    chosen = np.argsort(-rewards.max(1))[: recipe.best]
    spread = rewards[chosen].std()
    if spread > 0:
        differences = rewards[chosen, 0] - rewards[chosen, 1]
        state.weights = state.weights + recipe.step_size / (recipe.best * spread) * np.tensordot(
            differences, deltas[chosen], 1
        )
    state.iteration += 1


def _try(
    environment: Any,
    weights: FloatArray,
    mean: FloatArray,
    factor: FloatArray,
    seen: _Running,
    recipe: ArsRecipe,
    seed: int,
) -> tuple[float, int]:
    """Return (without the alive bonus) and length of one episode."""
    observation, _ = environment.reset(seed=seed)
    total, steps, ended = 0.0, 0, False
    while not ended:
        seen.add(observation)
        action = np.clip(weights @ ((observation - mean) * factor), -1.0, 1.0)
        observation, reward, terminated, truncated, _ = environment.step(action)
        total += float(reward) - recipe.alive_bonus
        steps += 1
        ended = terminated or truncated
    return total, steps
