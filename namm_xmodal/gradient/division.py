"""Divides a budget among the heads of a model, so that its pruned outputs agree with those of the full cache."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from namm_xmodal.policies.head_shares import HeadShares

SMALLEST, LARGEST = 0.02, 6.0
"""Bounds of a head's share: over an even one. From zero no step leads back."""

_INERTIA = 0.7
_END = 0.2  # the last step's length over the first's


@dataclass
class Division:
    """Steps in the logarithm of the shares, and what is left to do.

    Attributes:
        steps: Of the whole run.
        rate: Deviation of the first step.
        logs: (L, H) logarithms of the shares.
        direction: (L, H) running mean of the directions, each of deviation 1.
        total: (L, H) sum of `logs` over the last third of the steps, whose mean is the answer.
        counted: How many those were.
        step: Steps done.
        losses: Of every step, nats.
    """

    steps: int
    rate: float
    logs: Tensor
    direction: Tensor
    total: Tensor
    counted: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)

    @classmethod
    def even(cls, layers: int, heads: int, steps: int, rate: float) -> "Division":
        """All heads alike."""
        zeros = torch.zeros(layers, heads, dtype=torch.float64)
        return cls(steps, rate, zeros, zeros.clone(), zeros.clone())

    def shares(self, source: str = "") -> HeadShares:
        """As they are now."""
        return HeadShares.of(self.logs.exp(), source)

    def answer(self, source: str) -> HeadShares:
        """The geometric mean over the last third of the steps."""
        return HeadShares.of((self.total / max(1, self.counted)).exp(), source)

    def take(self, worth: Tensor, loss: float) -> None:
        """One step.

        Shares grow where one more token is worth more than elsewhere, in proportion to what a head has: a step multiplies.

        Args:
            worth: (L, H) by how much the loss falls with one more token in each head.
            loss: Where it was taken.
        """
        gain = worth * self.logs.exp()
        gain = gain - gain.mean()
        if bool((gain != 0).any()):
            self.direction = _INERTIA * self.direction + (1 - _INERTIA) * gain / gain.square().mean().sqrt()
            length = self.rate * (1 - (1 - _END) * self.step / self.steps)
            self.logs = self.logs + length * self.direction / self.direction.square().mean().sqrt().clamp(min=1e-12)
            self.logs = self.logs - self.logs.exp().mean().log()
            self.logs = self.logs.clamp(_log(SMALLEST), _log(LARGEST))
        self.step += 1
        self.losses.append(loss)
        if self.step > self.steps - max(1, self.steps // 3):
            self.total, self.counted = self.total + self.logs, self.counted + 1


def _log(number: float) -> float:
    return float(torch.tensor(number, dtype=torch.float64).log())
