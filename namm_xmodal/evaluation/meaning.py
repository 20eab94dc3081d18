"""Checks that budgets and update intervals can take effect, given the lengths of the inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.selection import budget_tokens
from namm_xmodal.types import Budget


@dataclass(frozen=True)
class Reading:
    """An input that is read while a policy prunes.

    Attributes:
        what: In words, with its place in the configuration: `tasks.keys: sample 3`.
        tokens: Tokens of it, before the answer.
    """

    what: str
    tokens: int

    def __str__(self) -> str:
        return f"{self.what} has {self.tokens} tokens"


@dataclass(frozen=True)
class Pruning:
    """When updates happen, and what they may not evict.

    Attributes:
        every: Tokens between two updates; None for one update after all of it.
        protect_first: Oldest tokens that stay.
        protect_recent: Newest tokens that stay.
    """

    every: int | None
    protect_first: int
    protect_recent: int

    @property
    def protected(self) -> int:
        """Tokens that no update may evict."""
        return self.protect_first + self.protect_recent

    def last_update(self, reading: Reading) -> int:
        """Tokens seen at the last update; 0 if there is none."""
        return reading.tokens if self.every is None else reading.tokens - reading.tokens % self.every


def check_sizes(row: str, budget: Budget | None, readings: Sequence[Reading], pruning: Pruning) -> None:
    """Refuses a table row whose budget cannot take effect.

    Args:
        row: The policy's place in the configuration: `policies.h2o`.
        budget: What may remain after an update: tokens, or a share of those seen; None where the policy decides.
        readings: All that it will read.
        pruning: Clock and protection.

    Raises:
        ConfigError: The mistake, on one line.
    """
    for reading in readings:
        check_reading(row, budget, reading, pruning)
    most = max(readings, key=pruning.last_update, default=None)
    if most is not None and isinstance(budget, int) and budget >= pruning.last_update(most):
        raise ConfigError(
            f"{row}: budget {budget}: has no effect, since the last update comes after {pruning.last_update(most)} "
            f"tokens ({most}); set a smaller number of tokens, or a share such as 0.5"
        )


def check_reading(row: str, budget: Budget | None, reading: Reading, pruning: Pruning) -> None:
    """Refuses a row whose budget cannot take effect on one of its inputs; see `check_sizes`."""
    seen, protected = pruning.last_update(reading), pruning.protected
    if seen == 0:
        raise ConfigError(
            f"{reading}, shorter than update_every={pruning.every}, so {row} would evict nothing; use a "
            "smaller update_every, or read more"
        )
    room = seen - 1 if budget is None else min(seen, budget_tokens(budget, seen))
    if protected > room:
        size = "no token is left to choose from" if budget is None else f"budget {budget} is {room} tokens then"
        raise ConfigError(
            f"{row}: protect_first + protect_recent = {pruning.protect_first} + {pruning.protect_recent}: {reading}, "
            f"{seen} at its last update, and {size}; protect fewer tokens, or read more"
        )
