"""Adam at a given cache size: steps keep the size constant to first order, thresholds correct the rest."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import ConfigError, EvolutionError
from namm_xmodal.gradient.sample import SampleGradient, Vector
from namm_xmodal.policies.namm import ThresholdSchedule


@dataclass(frozen=True)
class DescentSettings:
    """Hyper-parameters.

    Attributes:
        steps: Steps in all; the rate falls to 0.3 of itself along half a cosine.
        rate: Largest change of a parameter per step; with `scale: vector`, the usual one.
        first_budget: Kept fraction at the start.
        budget: Kept fraction from step `anneal` on.
        anneal: Steps from the first budget to the last one, on a straight line.
        floor: Tokens that are kept at least.
        sigma: Deviation of the random start.
        seed: Seed of the start, of the order of samples, and of what is drawn for each.
        selection: `pooled`: tokens above a threshold that layers and heads share are kept. `head`: every head keeps the
            same share.
        share_of: What budgets are shares of with `selection: head`: the tokens seen at each update, or the whole sample.
        smallest_budget: From step `anneal` on, each sample draws a budget between this and its own; None: none does.
        scale: What a step divides the mean gradient by. `parameter`: the size of each parameter's own, as Adam does, so all
            move alike. `vector`: that of the whole gradient, so each moves as far as it matters: noise in thousands of
            parameters that matter little would else undo a good start.
        trained: Which parameters move: all, or the weights of channels in the scorer's last layer (see `last_layer`).
        average: Share of the steps, the last ones, whose parameters are averaged in the end (Polyak and Juditsky, 1992);
            0: those of the last step are the result.
    """

    steps: int = 150
    rate: float = 0.01
    first_budget: float = 0.6
    budget: float = 0.2
    anneal: int = 50
    floor: int = 96
    sigma: float = 0.1
    seed: int = 0
    selection: Literal["pooled", "head"] = "pooled"
    smallest_budget: float | None = None
    share_of: Literal["seen", "whole"] = "seen"
    average: float = 0.0
    scale: Literal["parameter", "vector"] = "parameter"
    trained: Literal["all", "last_layer"] = "all"

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            ConfigError: With the value given and the one expected.
        """
        for name in ("steps", "anneal"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected at least 1")
        for name in ("first_budget", "budget"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ConfigError(f"{name}={getattr(self, name)}: expected a kept fraction in (0, 1]")
        for name in ("rate", "sigma"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name}={getattr(self, name)}: expected a positive number")
        if self.floor < 0:
            raise ConfigError(f"floor={self.floor}: expected a number of tokens, 0 or more")
        if not 0.0 <= self.average <= 1.0:
            raise ConfigError(f"average={self.average}: expected a share of the steps in [0, 1]")

    def budget_at(self, step: int, last: float | None = None) -> float:
        """Target kept fraction of a step, counted from 0, on the way to `last` instead of `budget` if given."""
        last = self.budget if last is None else last
        return self.first_budget + (last - self.first_budget) * min(1.0, step / self.anneal)

    def rate_at(self, step: int) -> float:
        """Rate of a step, counted from 0: five steps of warm-up, then the cosine."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        return self.rate * min(1.0, (step + 1) / 5) * (0.3 + 0.7 * cosine)


class Descent:
    """The state of a run: parameters, Adam's two averages (arXiv 1412.6980) and the thresholds.

    Attributes:
        parameters: (N,) float64.
        thresholds: Label of a source, "" for the tasks, to tokens seen -> scores from there on are kept. Models score alike
            tokens differently, so each source finds its own; the parameters are shared.
        step: Steps done.
    """

    _BETA1, _BETA2, _EPSILON = 0.9, 0.98, 1e-8
    _FOLLOW = 0.5  # share of the newest threshold; the rest is memory: at one threshold, texts differ twofold in size

    def __init__(
        self,
        count: int,
        settings: DescentSettings,
        start: Vector | None = None,
        schedule: ThresholdSchedule | None = None,
        moving: NDArray[np.bool_] | None = None,
    ) -> None:
        """Starts at random, or from `start` with the thresholds of `schedule`, which are those of tasks.

        Args:
            count: Parameters.
            settings: Hyper-parameters.
            start: (N,) first parameters.
            schedule: First thresholds of the tasks.
            moving: (N,) which parameters steps may change; all if None.
        """
        rng = np.random.default_rng([settings.seed, 0])
        self.settings, self._moving = settings, moving
        self.parameters = rng.normal(0.0, settings.sigma, count) if start is None else start.astype(np.float64)
        schedule = schedule or ThresholdSchedule()
        self.thresholds = {"": dict(zip(schedule.seen, schedule.offset, strict=True))}
        self.step = 0
        self._first, self._second = np.zeros(count), np.zeros(count)
        self._sum, self._summed = np.zeros(count), 0

    @property
    def result(self) -> Vector:
        """(N,) what the run has found: the mean of the last steps' parameters, or those of the last step."""
        return self._sum / self._summed if self._summed else self.parameters

    @property
    def budget(self) -> float:
        """Kept fraction that the next step aims at."""
        return self.settings.budget_at(self.step)

    def schedule(self, source: str = "") -> ThresholdSchedule:
        """The thresholds of the next step, of a source or of the tasks."""
        return ThresholdSchedule.of(self.thresholds.get(source, {}))

    def take(
        self,
        results: Sequence[SampleGradient],
        beside: Vector | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> float:
        """One step from the gradients of one batch; returns the length of the mean gradient.

        Args:
            results: Of the batch.
            beside: (N,) gradient of another objective, added to the mean.
            weights: Label of a source to what each of its samples weighs in the mean; 1 where absent.

        Every sample's gradient is cut to length 1 first: one sample that has lost its answer has gradients ten times as
        long as the others, and would drown them.

        Raises:
            EvolutionError: If a gradient is not finite.
        """
        shares = np.array([(weights or {}).get(r.source, 1.0) for r in results])
        shares /= shares.mean()
        each = [self._of_moving(result.gradient) for result in results]
        cut = [vector / max(1.0, float(np.linalg.norm(vector))) for vector in each]
        gradient = np.mean([share * vector for share, vector in zip(shares, cut, strict=True)], axis=0)
        gradient = gradient if beside is None else gradient + self._of_moving(beside)
        size = self._of_moving(np.mean([r.size_gradient for r in results], axis=0))
        if not np.isfinite(gradient).all() or not np.isfinite(size).all():
            raise EvolutionError(f"step {self.step}: a gradient is not finite; use dtype: float32, or a smaller rate")
        gradient = _across(gradient, size)
        length = float(np.linalg.norm(gradient))
        rate = self.settings.rate_at(self.step)
        self.step += 1
        self._first = self._BETA1 * self._first + (1 - self._BETA1) * gradient
        self._second = self._BETA2 * self._second + (1 - self._BETA2) * gradient**2
        first = self._first / (1 - self._BETA1**self.step)
        second = self._second / (1 - self._BETA2**self.step)
        if self.settings.scale == "vector":
            second = np.full_like(second, second.mean() if self._moving is None else second[self._moving].mean())
        self.parameters = self.parameters - rate * _across(first / (np.sqrt(second) + self._EPSILON), size)
        if self.step > self.settings.steps * (1 - self.settings.average):
            self._sum, self._summed = self._sum + self.parameters, self._summed + 1
        for source in dict.fromkeys(result.source for result in results):
            self._follow(source, [result.thresholds for result in results if result.source == source])
        return length

    def _of_moving(self, vector: Vector) -> Vector:
        """The vector with zeros for parameters that stay."""
        return vector if self._moving is None else np.where(self._moving, vector, 0.0)

    def _follow(self, source: str, found: Sequence[Mapping[int, float]]) -> None:
        """Moves the thresholds of a source towards those that its samples would have wanted."""
        thresholds = self.thresholds.setdefault(source, {})
        for seen in sorted({seen for each in found for seen in each}):
            wanted = float(np.mean([each[seen] for each in found if seen in each]))
            before = thresholds.get(seen, wanted)
            thresholds[seen] = before + self._FOLLOW * (wanted - before)

    def state(self) -> dict[str, NDArray[Any]]:
        """The state of a run, as arrays."""
        levels = [(seen, each) for by_seen in self.thresholds.values() for seen, each in sorted(by_seen.items())]
        return {
            "parameters": self.parameters,
            "first": self._first,
            "second": self._second,
            "levels": np.array(levels, dtype=np.float64).reshape(-1, 2),
            "sources": np.array([name for name, by_seen in self.thresholds.items() for _ in by_seen], dtype=np.str_),
            "step": np.array(self.step),
            "sum": self._sum,
            "summed": np.array(self._summed),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Restores a state."""
        self.parameters, self._first, self._second = state["parameters"], state["first"], state["second"]
        self.thresholds = {"": {}}
        sources = state.get("sources", [""] * len(state["levels"]))  # runs begun before sources had tasks only
        for source, (seen, threshold) in zip(sources, state["levels"], strict=True):
            self.thresholds.setdefault(str(source), {})[int(seen)] = float(threshold)
        self.step = int(state["step"])
        self._sum, self._summed = state.get("sum", self._sum), int(state.get("summed", 0))  # earlier runs had none


def _across(vector: Vector, direction: Vector) -> Vector:
    """The part of `vector` at right angles to `direction`."""
    square = float(direction @ direction)
    result: Vector = vector if square == 0.0 else vector - (vector @ direction) / square * direction
    return result
