"""Metadata of a checkpoint that a rollout needs; our checkpoints keep it in `config.json`, under one key."""

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np

from namm_xmodal.agents.agent_model import StateStatistics
from namm_xmodal.envs.published import TARGETS, published_statistics
from namm_xmodal.errors import CheckpointError

KEY = "namm_xmodal"
MOST_STATES = 100_000
_WORD = re.compile(r"[\w.-]+")
VERSIONS = {"hopper": "Hopper-v4", "halfcheetah": "HalfCheetah-v4", "walker2d": "Walker2d-v4"}
"""D4RL's data come from -v2, which current gymnasium no longer has; -v4 is nearest, -v5 pays other rewards."""


@dataclass(frozen=True, kw_only=True)
class CheckpointMetadata:
    """How a Decision Transformer was trained, as far as rollouts depend on it.

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
    def from_json(cls, values: Any, source: str) -> "CheckpointMetadata":
        """Reads what `to_json` wrote.

        Raises:
            CheckpointError: If a field is missing or unknown.
        """
        needed = {each.name for each in fields(cls)}
        if not isinstance(values, dict) or set(values) != needed:
            odd = sorted(needed ^ set(values)) if isinstance(values, dict) else sorted(needed)
            raise CheckpointError(f"{source}: {KEY} has other fields than expected ({', '.join(odd)}); save it again")
        for name, given in values.items():
            if not _fits(name, given):
                raise CheckpointError(f"{source}: {KEY}.{name}={str(given)[:80]!r}: expected {_EXPECTED[name]}")
        tuples = {name: tuple(values[name]) for name in ("state_mean", "state_std", "returns")}
        return cls(**{**values, **tuples})


_EXPECTED = {
    "environment": "a gymnasium id",
    "target": "a number",
    "scale": "a positive number",
    "window": "a number of steps",
    "memory": "window or cache",
    "mode": "decrement or constant",
    "options": "numbers, booleans and plain words by name",
    "state_mean": "a list of numbers",
    "state_std": "a list of numbers",
    "returns": "the lowest and the highest return, or nothing",
}


def _fits(name: str, given: Any) -> bool:
    if name == "environment":
        return isinstance(given, str)
    if name in ("target", "scale"):
        return _is_number(given) and (name == "target" or given > 0)
    if name == "window":
        return type(given) is int and 1 <= given <= 1_000_000
    if name in ("memory", "mode"):
        return given in (("window", "cache") if name == "memory" else ("decrement", "constant"))
    if name == "options":  # an option could name a file, or the id of another environment
        return isinstance(given, dict) and all(
            isinstance(value, bool) or _is_number(value) or (isinstance(value, str) and _WORD.fullmatch(value))
            for value in given.values()
        )
    sizes = (0, 2) if name == "returns" else range(MOST_STATES + 1)
    return isinstance(given, list) and all(map(_is_number, given)) and len(given) in sizes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def published_metadata(name: str) -> CheckpointMetadata:
    """Of one of the nine published checkpoints, for example hopper-medium."""
    mean, std = published_statistics(name)
    environment = name.split("-")[0]
    return CheckpointMetadata(
        environment=VERSIONS[environment],
        target=TARGETS[environment],
        scale=1000.0,
        window=20,
        memory="window",
        state_mean=tuple(mean.tolist()),
        state_std=tuple(std.tolist()),
    )
