"""Windows of K steps out of trajectories: what a Decision Transformer learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from namm_xmodal.envs.trajectories import Trajectory

FROM_START = 0.1
"""Share of windows that begin with the episode: rollouts do, and windows of any step hardly ever show it."""
FIRST = 10
"""Steps at the beginning of a window that `first_weight` weighs: little has happened, so the return must say what to do."""


@dataclass(frozen=True)
class Batch:
    """B windows of up to K steps, padded on the right, where a causal model cannot see it.

    Attributes:
        inputs: `states`, `actions`, `returns_to_go` and `timesteps` of the model's `forward`.
        weights: (B, K) weight of each step's action in the loss, 0 in padding.
    """

    inputs: dict[str, Tensor]
    weights: Tensor


class Windows:
    """Draws windows; where they do not begin with an episode, every step is as likely to be their first."""

    def __init__(
        self,
        episodes: Sequence[Trajectory],
        statistics: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
        *,
        steps: int,
        scale: float,
        max_ep_len: int,
        first_weight: float = 1.0,
        last_weight: float = 1.0,
        from_start: float = FROM_START,
        by_length: bool = True,
    ) -> None:
        """Prepares the data.

        Args:
            episodes: What to draw from.
            statistics: Mean and deviation that standardise states; None leaves them.
            steps: K.
            scale: Returns are divided by it.
            max_ep_len: Timesteps beyond the model's last one count as the last one.
            first_weight: Weight of a window's first `FIRST` actions in the loss. Later ones can be copied from the actions
                before them, and a model that has learnt to copy goes on as it began, whatever is asked of it.
            last_weight: Weight of an episode's last action in the loss, where that one decides everything.
            from_start: Share of windows that begin with the episode.
            by_length: Draw every step, not every episode, with the same chance.
        """
        self.steps, self.max_ep_len = steps, max_ep_len
        self.first_weight, self.last_weight, self.from_start = first_weight, last_weight, from_start
        mean, std = statistics if statistics is not None else (0.0, 1.0)
        self._states = [((each.observations - mean) / std).astype(np.float32) for each in episodes]
        self._actions = [each.actions for each in episodes]
        self._returns = [_returns_to_go(each.rewards, scale) for each in episodes]
        lengths = np.array([len(each) if by_length else 1 for each in episodes])
        self._chances = lengths / lengths.sum()

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """A batch of `count` windows."""
        k = self.steps
        states = np.zeros((count, k, self._states[0].shape[1]), dtype=np.float32)
        actions = np.zeros((count, k, self._actions[0].shape[1]), dtype=np.float32)
        returns = np.zeros((count, k, 1), dtype=np.float32)
        times = np.zeros((count, k), dtype=np.int64)
        weights = np.zeros((count, k), dtype=np.float32)
        for row, episode in enumerate(rng.choice(len(self._states), count, p=self._chances)):
            length = len(self._states[episode])
            start = 0 if rng.random() < self.from_start else int(rng.integers(length))
            n = min(k, length - start)
            part = slice(start, start + n)
            states[row, :n], actions[row, :n] = self._states[episode][part], self._actions[episode][part]
            returns[row, :n, 0] = self._returns[episode][part]
            times[row, :n] = np.minimum(np.arange(start, start + n), self.max_ep_len - 1)
            weights[row, :n] = 1.0
            weights[row, : min(n, FIRST)] = self.first_weight
            if start + n == length:
                weights[row, n - 1] = self.last_weight
        inputs = {"states": states, "actions": actions, "returns_to_go": returns, "timesteps": times}
        return Batch({name: torch.from_numpy(value) for name, value in inputs.items()}, torch.from_numpy(weights))


def _returns_to_go(rewards: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """(T,) rewards -> (T,) what is still to come at each step, its own reward included."""
    summed: NDArray[np.float32] = (rewards[::-1].cumsum(dtype=np.float64)[::-1] / scale).astype(np.float32)
    return summed
