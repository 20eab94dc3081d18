"""A behaviour policy: a small network from one observation to an action."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from namm_xmodal.arrays import FloatArray
from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.errors import DataError
from namm_xmodal.trust.archive import read_npz as read_arrays
from namm_xmodal.trust.files import refusing

Activation = Literal["tanh", "relu"]
_ACTIVATIONS: dict[str, Any] = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}
HORIZON = 1000.0  # steps of an episode, for policies that see how much of it is left


@dataclass(frozen=True)
class Normalisation:
    """How observations are standardised before the first layer.

    Attributes:
        mean: (inputs,).
        var: (inputs,).
        eps: Added to the variance.
        clip: Standardised numbers are clipped to [-clip, clip].
    """

    mean: FloatArray
    var: FloatArray
    eps: float = 1e-8
    clip: float = 10.0

    def __call__(self, observations: FloatArray) -> FloatArray:
        """(inputs,) -> (inputs,)."""
        return np.clip((observations - self.mean) / np.sqrt(self.var + self.eps), -self.clip, self.clip)


@dataclass(frozen=True)
class BehaviourPolicy:
    """Layers, an activation between them, and what happens before and after.

    Attributes:
        name: For records.
        weights: (outputs, inputs) of each layer, the first one first.
        biases: (outputs,) of each layer.
        activation: Between layers.
        squash: Whether the last layer is followed by tanh.
        normalisation: Of the observations; None leaves them as they are.
    """

    name: str
    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    activation: Activation = "tanh"
    squash: bool = False
    normalisation: Normalisation | None = None

    def __post_init__(self) -> None:
        """Refuses layers that do not fit together.

        Raises:
            DataError: With the layer and its shapes.
        """
        if not self.weights or len(self.weights) != len(self.biases) or self.activation not in _ACTIVATIONS:
            raise DataError(f"policy {self.name}: expected layers, as many biases, and activation tanh or relu")
        if self.weights[0].ndim != 2:
            raise DataError(
                f"policy {self.name}: layer 0 has weight {self.weights[0].shape}; expected (outputs, inputs)"
            )
        width = self.inputs
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
                raise DataError(
                    f"policy {self.name}: layer {i} has weight {weight.shape} and bias {bias.shape}; "
                    f"expected (outputs, {width}) and (outputs,)"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise DataError(f"policy {self.name}: layer {i} has NaN or infinity")
            width = weight.shape[0]
        if self.normalisation is not None:
            for moment in (self.normalisation.mean, self.normalisation.var):
                if moment.shape != (self.inputs,) or not np.isfinite(moment).all():
                    raise DataError(
                        f"policy {self.name}: observations are normalised by {moment.shape} numbers, but the first "
                        f"layer takes {self.inputs}; expected equal sizes and finite numbers"
                    )

    @property
    def inputs(self) -> int:
        """Numbers that the first layer takes."""
        return int(self.weights[0].shape[1])

    @property
    def act_dim(self) -> int:
        """Numbers of an action."""
        return int(self.weights[-1].shape[0])

    def takes(self, state_dim: int) -> bool:
        """Whether observations of this length fit: as many as inputs, or one fewer for policies that see the time."""
        return self.inputs in (state_dim, state_dim + 1)

    def act(self, observation: FloatArray, step: int) -> FloatArray:
        """(state_dim,) -> (act_dim,) actions in [-1, 1].

        Args:
            observation: As the environment gave it; a policy with one more input than this also sees `1 - step / 1000`.
            step: Number of the step, from 0.
        """
        x = np.asarray(observation, dtype=np.float64)
        if len(x) == self.inputs - 1:
            x = np.append(x, 1.0 - step / HORIZON)
        if self.normalisation is not None:
            x = self.normalisation(x)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = weight @ x + bias
            if i < last:
                x = _ACTIVATIONS[self.activation](x)
        if self.squash:
            x = np.tanh(x)
        return np.clip(x, -1.0, 1.0)


def read_npz(path: Path) -> BehaviourPolicy:
    """Reads the plain format: `weight{i}`, `bias{i}` (absent: zero), `activation`, `squash`, and optionally `obs_mean`,
    `obs_var`, `obs_eps`, `obs_clip`.

    Raises:
        DataError: If it cannot be read or a part is missing.
    """  # noqa: D205  one sentence
    parts = read_arrays(path, error=DataError, expected="an .npz of weights")
    missing = [name for name in ("weight0", "activation", "squash") if name not in parts]
    if missing:
        raise DataError(f"{path}: lacks {', '.join(missing)}; expected weight0, bias0, ..., activation, squash")
    with refusing(path, error=DataError, expected="an .npz of weights"):
        return _from_arrays(path.stem, parts)


def _from_arrays(name: str, parts: dict[str, Any]) -> BehaviourPolicy:
    count = sum(part.startswith("weight") for part in parts)
    weights = tuple(parts[f"weight{i}"].astype(np.float64) for i in range(count))
    biases = tuple(
        parts[f"bias{i}"].astype(np.float64) if f"bias{i}" in parts else np.zeros(len(weights[i])) for i in range(count)
    )
    normalisation = None
    if "obs_mean" in parts:
        normalisation = Normalisation(
            parts["obs_mean"].astype(np.float64),
            parts["obs_var"].astype(np.float64),
            float(parts.get("obs_eps", 1e-8)),
            float(parts.get("obs_clip", 10.0)),
        )
    activation: Any = str(parts["activation"])
    return BehaviourPolicy(name, weights, biases, activation, bool(parts["squash"]), normalisation)


def write_npz(policy: BehaviourPolicy, path: Path) -> None:
    """Writes the plain format; the file appears whole or not at all."""
    parts: dict[str, Any] = {"activation": policy.activation, "squash": policy.squash}
    for i, (weight, bias) in enumerate(zip(policy.weights, policy.biases, strict=True)):
        parts[f"weight{i}"], parts[f"bias{i}"] = weight, bias
    if policy.normalisation is not None:
        parts |= {
            "obs_mean": policy.normalisation.mean,
            "obs_var": policy.normalisation.var,
            "obs_eps": policy.normalisation.eps,
            "obs_clip": policy.normalisation.clip,
        }
    with replacing(path) as part:
        np.savez(part, **parts)
