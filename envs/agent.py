"""Agents: an agent makes an actor for a batch of episodes; the actor receives observations and returns actions."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.arrays import FloatArray


@dataclass(frozen=True)
class StepInput:
    """What an actor receives at one time step, for B episodes that began together.

    Attributes:
        step: Its number, from 0.
        states: (B, state_dim) observations, as the environment gave them.
        returns_to_go: (B,) return still asked for, divided by the scale.
        previous_actions: (B, act_dim), None at the first step.
        running: (B,) bool, false for episodes that have ended; their rows are still fed, and ignored.
    """

    step: int
    states: FloatArray
    returns_to_go: FloatArray
    previous_actions: FloatArray | None
    running: NDArray[np.bool_] | None = None


class Actor(Protocol):
    """Plays one batch of episodes."""

    def act(self, step_input: StepInput) -> FloatArray:
        """(B, act_dim) actions, before they are clipped to the action space."""

    def kept(self) -> FloatArray:
        """(B,) tokens in memory after the last action, averaged over layers and heads."""

    def survivors(self, row: int) -> dict[str, Any] | None:
        """What an episode's memory held, by kind and age; None if tracking is off."""


class Agent(Protocol):
    """Makes actors. A context manager, since it may prepare a model and restore it afterwards."""

    def begin(self, episodes: int) -> AbstractContextManager[Actor]:
        """An actor for that many episodes."""
