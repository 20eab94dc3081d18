"""A T-maze: a cue at the start says where to turn at the end of a corridor, when it has long been out of sight.

Recency fails here by construction, and a policy that finds the cue in its attention wins: the mirror image of MuJoCo's
locomotion, where the last few states are nearly all that matters. A policy has to pass both.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.envs.trajectories import Trajectory
from namm_xmodal.errors import ConfigError
from namm_xmodal.extras import need

need("gymnasium", "an environment")
import gymnasium  # noqa: E402
from gymnasium import spaces  # noqa: E402

TMAZE = "namm_xmodal/TMaze-v0"
CUE, JUNCTION = 0, 1
FORWARD, TURN = 0, 1


class TMaze(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):  # type: ignore[misc]
    """Observations (cue, junction); actions (forward, turn), each in [-1, 1].

    The cue, -1 or 1, is seen in the first observation only. In the corridor a positive `forward` goes on, anything else
    stays. At the junction (second number 1) the sign of `turn` ends the episode: reward 1 if it is the cue's, else 0.
    Distractors flash -1 or 1 on the cue's channel in the corridor; only the time of the first one tells it from them.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  gymnasium's own declaration

    def __init__(self, length: int = 60, distractors: float = 0.0, patience: int = 20) -> None:
        """Makes a maze.

        Args:
            length: Steps from the start to the junction, at least 1.
            distractors: Probability of a flash in each observation of the corridor but the first, in [0, 1].
            patience: Steps beyond `length` after which an episode is truncated.

        Raises:
            ConfigError: If a number is out of range.
        """
        if length < 1:
            raise ConfigError(f"length={length}: expected a corridor of at least 1 step, for example 60")
        if not 0.0 <= distractors <= 1.0:
            raise ConfigError(f"distractors={distractors}: expected a probability in [0, 1]")
        self.length, self.distractors, self.patience = length, distractors, patience
        self.observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._cue, self._place, self._steps = 1, 0, 0

    @property
    def straight_steps(self) -> int:
        """Steps of an episode that never stops on its way."""
        return self.length + 1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draws a cue and shows it."""
        super().reset(seed=seed)
        self._cue = 1 if self.np_random.random() < 0.5 else -1
        self._place, self._steps = 0, 0
        return np.array([self._cue, 0.0], dtype=np.float32), {"cue": self._cue}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Goes on, stays, or turns."""
        self._steps += 1
        if self._place == self.length:
            right = float(action[TURN]) * self._cue > 0
            return self._observe(), float(right), True, False, {"success": right}
        if action[FORWARD] > 0:
            self._place += 1
        return self._observe(), 0.0, False, self._steps >= self.length + self.patience, {}

    def _observe(self) -> NDArray[np.float32]:
        if self._place == self.length:
            return np.array([0.0, 1.0], dtype=np.float32)
        flash = self.np_random.random() < self.distractors
        sign = 1.0 if self.np_random.random() < 0.5 else -1.0  # drawn always: the same seed, the same corridor
        return np.array([sign if flash else 0.0, 0.0], dtype=np.float32)


def demonstrate(environment: TMaze, seed: int) -> Trajectory:
    """One right way through a maze: forward in the corridor, at the end as the cue said."""
    observation, information = environment.reset(seed=seed)
    observations, actions, rewards, ended = [], [], [], False
    while not ended:
        at_junction = observation[JUNCTION] > 0
        action = np.array([0.0, float(information["cue"])] if at_junction else [1.0, 0.0], dtype=np.float32)
        observations.append(observation)
        actions.append(action)
        observation, reward, terminated, truncated, _ = environment.step(action)
        rewards.append(reward)
        ended = terminated or truncated
    return Trajectory(np.stack(observations), np.stack(actions), np.array(rewards, dtype=np.float32), True)
