"""Checks observation and action spaces: boxes of one vector or one number."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.extras import need

_BIGGEST = 1e100
"""Rewards beyond it count as infinite, so that no sum of them is."""


def size_of(space: Any, what: str) -> int:
    """How many numbers a space holds.

    Args:
        space: A gymnasium space.
        what: `states` or `actions`, for the message. Actions that are whole numbers are choices, and are refused.

    Raises:
        ConfigError: If it is discrete, a dictionary, pictures, or anything else but a box of one vector or one number.
    """
    spaces = need("gymnasium.spaces", "the spaces of an environment")

    kind = type(space).__name__
    if not isinstance(space, spaces.Box):
        raise ConfigError(f"{what} of type {kind}: expected a Box of one vector or one number")
    if len(space.shape) > 1 or 0 in space.shape:
        raise ConfigError(
            f"{what} of shape {space.shape}: expected one vector or one number; pictures are not supported"
        )
    if what == "actions" and not np.issubdtype(space.dtype, np.floating):
        raise ConfigError(f"{what} of {space.dtype}: expected real numbers; discrete actions are not supported")
    return int(np.prod(space.shape))


def as_state(observation: Any, size: int) -> NDArray[np.float64]:
    """An observation as (size,) numbers.

    Raises:
        DataError: If it is not of that many finite numbers.
    """
    if isinstance(observation, dict | tuple):
        raise DataError(f"an observation is a {type(observation).__name__}, expected {size} numbers")
    state = np.asarray(observation, dtype=np.float64)
    if state.size != size:
        raise DataError(f"an observation of shape {state.shape}, expected {size} numbers")
    if not np.isfinite(state).all():
        raise DataError("an observation that is not finite")
    return state.reshape(size)


def as_reward(reward: Any) -> float:
    """A reward as one number, also where it comes in an array.

    Raises:
        DataError: If it is none, several, or not finite.
    """
    value = np.asarray(np.nan if reward is None else reward, dtype=np.float64)
    if reward is None or value.size != 1:
        found = "None" if reward is None else f"an array of shape {value.shape}"
        raise DataError(f"a reward that is {found}, expected one number")
    if not abs(value.item()) < _BIGGEST:
        raise DataError("a reward that is not finite")
    return float(value.item())
