"""A threshold that depends on how much was read, so that one policy keeps the same share of short and long texts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from namm_xmodal.errors import ConfigError


@dataclass(frozen=True)
class ThresholdSchedule:
    """What is added to a NAMM's threshold after so many tokens.

    At one threshold, every update takes its share of what the one before has left: a policy that keeps 30% of 512 tokens
    keeps 14% of 1,280. The schedule is found on plain text, without reward (`namm_xmodal.memory.calibration`).

    Attributes:
        seen: Numbers of tokens, ascending.
        offset: What is added there. Between them it is linear in log2(tokens); outside them it is that of the nearest.
    """

    seen: tuple[int, ...] = ()
    offset: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuses lists of different lengths, numbers that are not finite, and tokens out of order.

        Raises:
            ConfigError: With what was given.
        """
        if len(self.seen) != len(self.offset):
            raise ConfigError(f"schedule: {len(self.seen)} token numbers for {len(self.offset)} offsets; give one each")
        if any(seen < 1 for seen in self.seen) or any(a >= b for a, b in pairwise(self.seen)):
            raise ConfigError(f"schedule.seen={list(self.seen)}: expected positive token numbers in ascending order")
        if not all(math.isfinite(offset) for offset in self.offset):
            raise ConfigError(f"schedule.offset={list(self.offset)}: expected finite numbers")

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
