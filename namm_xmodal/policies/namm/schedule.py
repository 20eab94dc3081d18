"""The schedule of a NAMM: threshold offsets by tokens seen, and the share to keep beyond the last of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from namm_xmodal.errors import CheckpointError, ConfigError
from namm_xmodal.policies.fingerprint import ADDED


@dataclass(frozen=True)
class ThresholdSchedule:
    """What is added to a NAMM's threshold after so many tokens, and what is kept after more.

    At one threshold, every update takes its share of what the one before has left: a policy that keeps 30% of 512
    tokens keeps 14% of 1,280. The schedule is found on plain text, without reward (`namm_xmodal.memory.calibration`).

    Attributes:
        seen: Numbers of tokens, ascending.
        offset: What is added there. Between them it is linear in log2(tokens); outside them it is that of the nearest.
        beyond: Share of the tokens seen that is kept after more tokens than the last of `seen`, in (0, 1]: one for all
            layers, or one for each layer of the model. If empty, the last threshold holds.
    """

    seen: tuple[int, ...] = ()
    offset: tuple[float, ...] = ()
    beyond: tuple[float, ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        """Refuses lists of different lengths, numbers that are not finite, tokens out of order, and impossible shares.

        Raises:
            ConfigError: With what was given.
        """
        if len(self.seen) != len(self.offset):
            raise ConfigError(
                f"schedule: {len(self.seen)} token counts for {len(self.offset)} offsets; expected one offset per "
                "token count"
            )
        if any(seen < 1 for seen in self.seen) or any(a >= b for a, b in pairwise(self.seen)):
            raise ConfigError(f"schedule.seen={list(self.seen)}: expected positive token counts in ascending order")
        if not all(math.isfinite(offset) for offset in self.offset):
            raise ConfigError(f"schedule.offset={list(self.offset)}: expected finite numbers")
        if not all(0 < share <= 1 for share in self.beyond):
            raise ConfigError(f"schedule.beyond={list(self.beyond)}: expected shares in (0, 1], such as 0.25")

    @classmethod
    def of(cls, offsets: Mapping[int, float]) -> "ThresholdSchedule":
        """From tokens seen -> offset, in any order."""
        ordered = sorted(offsets.items())
        return cls(tuple(seen for seen, _ in ordered), tuple(offset for _, offset in ordered))

    def at(self, seen: int) -> float:
        """The offset after `seen` tokens; 0 if the schedule is empty."""
        if not self.seen:
            return 0.0
        return float(np.interp(math.log2(max(1, seen)), np.log2(self.seen), self.offset))

    def share(self, seen: int, layer: int) -> float | None:
        """The share of `seen` tokens that a layer keeps; None where the threshold decides."""
        if not self.beyond or (self.seen and seen <= self.seen[-1]):
            return None
        return self.beyond[layer if len(self.beyond) > 1 else 0]

    def check_layers(self, num_layers: int) -> None:
        """Refuses shares of the layers of another model.

        Raises:
            CheckpointError: With both numbers.
        """
        if len(self.beyond) > 1 and len(self.beyond) != num_layers:
            raise CheckpointError(
                f"schedule.beyond has shares for {len(self.beyond)} layers, but this model has {num_layers}; calibrate "
                "the policy on this model, or set one share for all layers"
            )
