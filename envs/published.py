"""The nine published Decision Transformers (`edbeeching/decision-transformer-gym-*`): statistics of their states.

They stand on the checkpoints' cards, not in their configs, and one card is malformed (halfcheetah-medium-replay prints 18
deviations for 17 numbers), so the values come with this package.
"""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import UnknownNameError

PREFIX = "decision-transformer-gym-"
TARGETS = {"hopper": 3600.0, "halfcheetah": 12000.0, "walker2d": 5000.0}
"""The higher of the paper's two targets, fixed in advance; returns are divided by 1000."""

_FILE = Path(__file__).parent / "data" / "decision_transformer_state_statistics.json"


@lru_cache(maxsize=1)
def _all() -> dict[str, dict[str, list[float]]]:
    values: dict[str, dict[str, list[float]]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return values


def published_names() -> list[str]:
    """Such as hopper-medium."""
    return list(_all())


def published_name(model: str) -> str | None:
    """The published checkpoint that a hub id or folder names, None if it names none."""
    last = model.rstrip("/").rsplit("/", 1)[-1]
    name = last.removeprefix(PREFIX)
    return name if last.startswith(PREFIX) and name in _all() else None


def published_statistics(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of the states that a published checkpoint was trained on.

    Raises:
        UnknownNameError: If there is no such checkpoint.
    """
    if name not in _all():
        raise UnknownNameError("published Decision Transformer", name, published_names())
    values = _all()[name]
    return np.array(values["mean"]), np.array(values["std"])
