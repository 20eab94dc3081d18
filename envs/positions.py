"""Hopper without velocities: what the body does must be inferred from a few earlier states."""

from typing import Any

import numpy as np

from namm_xmodal.extras import need

need("gymnasium", "an environment")
import gymnasium  # noqa: E402
from gymnasium import spaces  # noqa: E402

HOPPER_POSITIONS = "namm_xmodal/HopperPositions-v5"
POSITIONS = 5  # of Hopper's 11 observations, the first five are positions and angles, the others velocities


class PositionsOnly(gymnasium.ObservationWrapper[Any, Any, Any]):  # type: ignore[misc]
    """Keeps the first five observations of Hopper."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Wraps `env`."""
        super().__init__(env)
        whole = env.observation_space
        assert isinstance(whole, spaces.Box)
        self.observation_space = spaces.Box(whole.low[:POSITIONS], whole.high[:POSITIONS], dtype=np.float64)

    def observation(self, observation: Any) -> Any:
        """(11,) -> (5,)."""
        return observation[:POSITIONS]


def make_hopper_positions(**options: Any) -> gymnasium.Env[Any, Any]:
    """The entry point that is registered."""
    return PositionsOnly(gymnasium.make("Hopper-v5", **options))
