"""The model of an agent, with the normalisation of its states."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from namm_xmodal.arrays import FloatArray
from namm_xmodal.errors import ConfigError

ACTION_DIGITS = 6
"""Actions are rounded to this many decimals: batches of other sizes take other kernels, whose last bits differ, and MuJoCo
would make two different episodes of them. In float64 the difference is 1e-15, which rounding removes."""


@dataclass(frozen=True)
class StateStatistics:
    """Mean and standard deviation of the training states; the model expects states standardised by them.

    Attributes:
        mean: (state_dim,).
        std: (state_dim,), positive.
    """

    mean: FloatArray
    std: FloatArray

    def __post_init__(self) -> None:
        """Refuses vectors that do not fit together.

        Raises:
            ConfigError: With both lengths, or the first bad value.
        """
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ConfigError(
                f"state statistics of shapes {self.mean.shape} and {self.std.shape}: expected two equal vectors"
            )
        if not np.isfinite(self.mean).all() or not np.isfinite(self.std).all() or not (self.std > 0).all():
            raise ConfigError("state statistics: expected finite means and positive standard deviations")

    def check_size(self, states: int) -> None:
        """Refuses statistics of another length than a model's states.

        Raises:
            ConfigError: With both lengths.
        """
        if len(self.mean) != states:
            raise ConfigError(
                f"state statistics of length {len(self.mean)}, but this model has states of {states} numbers"
            )


@dataclass(frozen=True)
class AgentModel:
    """A Decision Transformer and its states' statistics.

    Attributes:
        model: A `DecisionTransformerModel` in evaluation mode; float64 for results that do not depend on the batch.
        statistics: Of the states that it was trained on; None leaves states as they are.
    """

    model: Any
    statistics: StateStatistics | None = None

    def __post_init__(self) -> None:
        """Refuses statistics of another length than the model's states.

        Raises:
            ConfigError: With both lengths.
        """
        if self.statistics is not None:
            self.statistics.check_size(self.model.config.state_dim)

    def states(self, states: FloatArray) -> Tensor:
        """(B, state_dim) -> the same, standardised, as a tensor."""
        return self.tensor(self.standardised(states))

    def standardised(self, states: FloatArray) -> FloatArray:
        """(B, state_dim) -> the same in units of the data that the model was trained on.

        Raises:
            ConfigError: If states of this length are not the model's.
        """
        if states.shape[-1] != self.model.config.state_dim:
            raise ConfigError(
                f"the environment's states have {states.shape[-1]} numbers, the model's {self.model.config.state_dim}; "
                "expected a model of this environment and version (-v4, -v5)"
            )
        if self.statistics is not None:
            states = (states - self.statistics.mean) / self.statistics.std
        return states

    def tensor(self, numbers: FloatArray) -> Tensor:
        """A tensor on the model's device, of its precision."""
        return torch.as_tensor(numbers, dtype=self.model.dtype, device=self.model.device)

    def rounded(self, actions: Tensor) -> FloatArray:
        """(B, act_dim) actions of the model -> the same, rounded, as numbers."""
        numbers: FloatArray = actions.double().cpu().numpy()
        return np.round(numbers, ACTION_DIGITS)
