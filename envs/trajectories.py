"""Trajectories of one environment, wherever they come from, checked once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import DataError

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Trajectory:
    """One episode of T steps.

    Attributes:
        observations: (T, state_dim): what was seen before each action.
        actions: (T, act_dim).
        rewards: (T,).
        terminated: Whether the environment ended it; false for a time limit, or where the recording stops.
    """

    observations: Float32Array
    actions: Float32Array
    rewards: Float32Array
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
            raise DataError(f"{self.source}: contains no episodes")
        for number, each in enumerate(self.episodes):
            shapes = each.observations.shape, each.actions.shape, each.rewards.shape
            if tuple(map(len, shapes)) != (2, 2, 1):
                raise DataError(
                    f"{self.source}: episode {number} has states, actions and rewards of shapes {shapes[0]}, {shapes[1]} "
                    f"and {shapes[2]}; expected one vector, one vector and one number per step"
                )
        sizes = self.state_dim, self.act_dim
        for number, each in enumerate(self.episodes):
            lengths = {len(each.observations), len(each.actions), len(each.rewards)}
            if len(lengths) != 1 or 0 in lengths:
                raise DataError(f"{self.source}: episode {number} has {sorted(lengths)} states, actions and rewards")
            if (each.observations.shape[1], each.actions.shape[1]) != sizes:
                raise DataError(f"{self.source}: episode {number} has other sizes than the first, {sizes}")
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


def as_vectors(values: Any, name: str) -> Float32Array:
    """What a dataset holds for T steps -> (T, size); numbers become vectors of one.

    Args:
        values: An array, or what a library made of another space.
        name: `observations` or `actions`. Whole numbers as actions, or one a step as observations, are choices or names of
            states, and no quantities.

    Raises:
        DataError: If they are discrete, pictures, a dictionary, or no numbers.
    """
    array = _numbers(values, name)
    if array.dtype.kind in "biu" and (name == "actions" or array.ndim == 1):
        raise DataError(f"{name} are discrete ({array.dtype}); expected real numbers, one vector per step")
    if array.ndim not in (1, 2) or array.shape[1:] == (0,):
        pictures = " such as pictures" if array.ndim > 2 else ""
        raise DataError(
            f"{name} are arrays of shape {array.shape}{pictures}; expected one vector or one number per step"
        )
    return _float32(array.reshape(len(array), -1) if array.size else np.zeros((len(array), 1)))


def as_rewards(values: Any) -> Float32Array:
    """Rewards of T steps, (T,) or (T, 1) -> (T,).

    Raises:
        DataError: If there are none or several a step.
    """
    return _float32(_column(values, "rewards"))


def as_flags(values: Any, name: str) -> NDArray[np.bool_]:
    """Ends of episodes among T steps, of any type that holds 0 and 1 -> (T,).

    Raises:
        DataError: If they hold anything else.
    """
    column = _column(values, name)
    if not np.isin(column, (0, 1)).all():
        raise DataError(f"{name} hold {column[~np.isin(column, (0, 1))][0]}; expected 0 and 1")
    flags: NDArray[np.bool_] = column.astype(bool)
    return flags


def _column(values: Any, name: str) -> NDArray[Any]:
    array = _numbers(values, name)
    if array.ndim == 0 or array.size != len(array):
        raise DataError(f"{name} are of shape {array.shape}; expected one number per step")
    return array.reshape(len(array))


def _numbers(values: Any, name: str) -> NDArray[Any]:
    if isinstance(values, dict | tuple):
        kind = "a dictionary" if isinstance(values, dict) else "a tuple"
        raise DataError(f"{name} are {kind}; expected one vector per step")
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} are of {array.dtype}; expected numbers")
    return array


def _float32(array: NDArray[Any]) -> Float32Array:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, and is refused as such
        return np.ascontiguousarray(array, dtype=np.float32)


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
