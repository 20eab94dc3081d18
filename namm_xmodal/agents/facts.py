"""What a rollout must know about a checkpoint beside its weights; our own keep it in `config.json`, under one key."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np

from namm_xmodal.agents.body import StateStatistics
from namm_xmodal.envs.published import TARGETS, published_statistics
from namm_xmodal.errors import CheckpointError

KEY = "namm_xmodal"
VERSIONS = {"hopper": "Hopper-v4", "halfcheetah": "HalfCheetah-v4", "walker2d": "Walker2d-v4"}
"""D4RL's data come from -v2, which current gymnasium no longer has; -v4 is nearest, -v5 pays other rewards."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How a Decision Transformer was trained, as far as it decides how to roll it out.

    Attributes:
        environment: Gymnasium id that its data come from, version included.
        options: Of that environment.
        target: The return to ask for, fixed when the checkpoint was made.
        scale: Returns were divided by it.
        mode: Whether rewards are taken off the target.
        window: Steps of a training window, K.
        memory: What it was trained for: to recompute a `window`, or for a growing `cache`.
        state_mean: (state_dim,) of its training states; empty if it saw them as they are.
        state_std: (state_dim,).
        returns: Lowest and highest return in its data; empty if unknown.
    """

    environment: str
    target: float
    scale: float
    window: int
    memory: Literal["window", "cache"]
    mode: Literal["decrement", "constant"] = "decrement"
    options: dict[str, Any] = field(default_factory=dict)
    state_mean: tuple[float, ...] = ()
    state_std: tuple[float, ...] = ()
    returns: tuple[float, ...] = ()

    @property
    def statistics(self) -> StateStatistics | None:
        """Of the states, None if they go in as they are."""
        if not self.state_mean and not self.state_std:
            return None
        return StateStatistics(np.array(self.state_mean), np.array(self.state_std))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any, source: str) -> "Facts":
        """Reads what `to_json` wrote.

        Raises:
            CheckpointError: If a field is missing or unknown.
        """
        needed = {each.name for each in fields(cls)}
        if not isinstance(values, dict) or set(values) != needed:
            odd = sorted(needed ^ set(values)) if isinstance(values, dict) else sorted(needed)
            raise CheckpointError(f"{source}: {KEY} has other fields than expected ({', '.join(odd)}); save it again")
        tuples = {name: tuple(values[name]) for name in ("state_mean", "state_std", "returns")}
        return cls(**{**values, **tuples})


def published_facts(name: str) -> Facts:
    """Of one of the nine published checkpoints, for example hopper-medium."""
    mean, std = published_statistics(name)
    environment = name.split("-")[0]
    return Facts(
        environment=VERSIONS[environment],
        target=TARGETS[environment],
        scale=1000.0,
        window=20,
        memory="window",
        state_mean=tuple(mean.tolist()),
        state_std=tuple(std.tolist()),
    )
