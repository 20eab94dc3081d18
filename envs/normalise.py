"""Normalised scores, by name: different references are different scores, and never share a column."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.envs.trajectories import Trajectories
from namm_xmodal.errors import ConfigError

D4RL: dict[str, tuple[float, float]] = {
    "hopper": (-20.272305, 3234.3),
    "halfcheetah": (-280.178953, 12135.0),
    "walker2d": (1.629008, 4592.3),
    "ant": (-325.6, 3879.7),
    "hopperpositions": (-20.272305, 3234.3),
}
"""Returns of a random and an expert policy, as D4RL's infos.py has them (Fu et al., arXiv 2004.07219); those of Hopper for
Hopper without velocities, whose rewards are the same."""

Reference = Literal["d4rl", "dataset", "measured"]


@dataclass(frozen=True)
class Normaliser:
    """100 (return - low) / (high - low).

    Attributes:
        name: `d4rl` (published constants), `dataset` (the dataset's own metadata) or `measured` (on this machine).
        low: The return that counts 0.
        high: The return that counts 100.
    """

    name: Reference
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuses references that do not span anything.

        Raises:
            ConfigError: With both.
        """
        if not (np.isfinite([self.low, self.high]).all() and self.high > self.low):
            raise ConfigError(f"{self.name} scores: low={self.low}, high={self.high}: expected finite, low below high")

    def __call__(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns -> scores."""
        return 100.0 * (returns - self.low) / (self.high - self.low)


def d4rl(environment: str) -> Normaliser:
    """D4RL's constants for an environment of any version.

    Raises:
        ConfigError: If D4RL has none.
    """
    key = environment.rsplit("/", 1)[-1].split("-", 1)[0].lower()
    if key not in D4RL:
        raise ConfigError(f"environment {environment}: has no D4RL constants; known: {', '.join(D4RL)}")
    return Normaliser("d4rl", *D4RL[key])


def of_dataset(data: Trajectories) -> Normaliser:
    """The references that a dataset brings.

    Raises:
        ConfigError: If it brings none.
    """
    if data.reference is None:
        raise ConfigError(f"{data.source}: has no reference returns; use score: d4rl or measured")
    return Normaliser("dataset", *data.reference)
