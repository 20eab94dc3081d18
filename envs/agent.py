"""What rolls out: an agent makes an actor for a batch of episodes; the actor sees turns and says actions."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Turn:
    """What is known when the actions of one step are due, for B episodes that began together.

    Attributes:
        step: Its number, from 0.
        states: (B, state_dim) observations, as the environment gave them.
        returns_to_go: (B,) what is still wanted, divided by the scale.
        previous_actions: (B, act_dim), None at the first step.
        running: (B,) bool, false for episodes that have ended; their rows are still fed, and ignored.
    """

    step: int
    states: Numbers
    returns_to_go: Numbers
    previous_actions: Numbers | None
    running: NDArray[np.bool_] | None = None


class Actor(Protocol):
    """One batch of episodes under way."""

    def act(self, turn: Turn) -> Numbers:
        """(B, act_dim) actions, before they are clipped to what the environment takes."""

    def kept(self) -> Numbers:
        """(B,) tokens in memory after the last action, averaged over layers and heads."""

    def survivors(self, row: int) -> dict[str, Any] | None:
        """What an episode's memory held, by kind and age; None if nobody looked."""


class Agent(Protocol):
    """Makes actors; a context, since it may have to prepare a model and give it back as it was."""

    def begin(self, episodes: int) -> AbstractContextManager[Actor]:
        """An actor for that many episodes."""
