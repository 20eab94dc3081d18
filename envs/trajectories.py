"""Trajectories of one environment, wherever they come from, checked once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import DataError

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Trajectory:
    """One episode of T steps.

    Attributes:
        observations: (T, state_dim): what was seen before each action.
        actions: (T, act_dim).
        rewards: (T,).
        terminated: Whether the environment ended it; false for a time limit, or where the recording stops.
    """

    observations: Numbers
    actions: Numbers
    rewards: Numbers
    terminated: bool

    def __len__(self) -> int:
        """Steps."""
        return len(self.rewards)

    @property
    def total(self) -> float:
        """Sum of rewards, the return."""
        return float(self.rewards.sum(dtype=np.float64))


@dataclass(frozen=True)
class Trajectories:
    """A dataset.

    Attributes:
        episodes: At least one, all of the same sizes.
        environment: Gymnasium id of the environment that they come from, version included; empty if unknown.
        source: Where they come from, for records.
        reference: Returns that `dataset` scores call 0 and 100, if the source names them.
    """

    episodes: tuple[Trajectory, ...]
    environment: str
    source: str
    reference: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be learnt from.

        Raises:
            DataError: With the episode and what is wrong with it.
        """
        if not self.episodes:
            raise DataError(f"{self.source}: no episodes in it")
        sizes = self.state_dim, self.act_dim
        for number, each in enumerate(self.episodes):
            lengths = {len(each.observations), len(each.actions), len(each.rewards)}
            if len(lengths) != 1 or 0 in lengths:
                raise DataError(f"{self.source}: episode {number} has {sorted(lengths)} states, actions and rewards")
            if (each.observations.shape[1], each.actions.shape[1]) != sizes:
                raise DataError(f"{self.source}: episode {number} is of other sizes than the first, {sizes}")
            for name in ("observations", "actions", "rewards"):
                if not np.isfinite(getattr(each, name)).all():
                    raise DataError(f"{self.source}: episode {number} has NaN or infinity among its {name}")

    @property
    def state_dim(self) -> int:
        """Numbers of an observation."""
        return int(self.episodes[0].observations.shape[1])

    @property
    def act_dim(self) -> int:
        """Numbers of an action."""
        return int(self.episodes[0].actions.shape[1])

    @property
    def steps(self) -> int:
        """Of all episodes together."""
        return sum(map(len, self.episodes))

    def returns(self) -> NDArray[np.float64]:
        """(episodes,)."""
        return np.array([each.total for each in self.episodes])

    def seen(self, count: int | None) -> "Trajectories":
        """The same with the first `count` numbers of each observation only; None for all of them."""
        if count is None:
            return self
        return replace(self, episodes=tuple(replace(e, observations=e.observations[:, :count]) for e in self.episodes))

    def state_statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation over all states; 1e-6 is added to the deviation, as in the paper's code."""
        states = np.concatenate([each.observations for each in self.episodes]).astype(np.float64)
        return states.mean(0), states.std(0) + 1e-6


def split_episodes(
    observations: NDArray[np.floating],
    actions: NDArray[np.floating],
    rewards: NDArray[np.floating],
    terminals: NDArray[np.bool_],
    timeouts: NDArray[np.bool_],
) -> list[Trajectory]:
    """Cuts one long recording after every terminal *or* timeout; what follows the last one is an episode that goes on.

    Splitting on terminals only would glue episodes of 1,000 steps together: a known trap of D4RL files.
    """
    ends = np.flatnonzero(terminals | timeouts) + 1
    stops = [*ends.tolist(), *([len(rewards)] if not len(ends) or ends[-1] < len(rewards) else [])]
    starts = [0, *stops[:-1]]
    return [
        Trajectory(
            np.ascontiguousarray(observations[start:stop], dtype=np.float32),
            np.ascontiguousarray(actions[start:stop], dtype=np.float32),
            np.ascontiguousarray(rewards[start:stop], dtype=np.float32),
            bool(terminals[stop - 1]),
        )
        for start, stop in zip(starts, stops, strict=True)
    ]


def joined(parts: Sequence[Trajectories], source: str) -> Trajectories:
    """Several datasets of one environment as one.

    Raises:
        DataError: If they are of different environments.
    """
    names = sorted({part.environment for part in parts})
    if len(names) != 1:
        raise DataError(f"{source}: datasets of different environments ({', '.join(names)}); expected one")
    return Trajectories(tuple(each for part in parts for each in part.episodes), names[0], source)
