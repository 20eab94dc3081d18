"""Tokens that a policy always keeps: sinks at the start of a text, a window at its end."""

from torch import Tensor

from namm_xmodal.errors import BudgetError, ConfigError
from namm_xmodal.policies.protocol import Observation
from namm_xmodal.types import Budget


def pin(scores: Tensor, observation: Observation, *, first: int = 0, recent: int = 0) -> Tensor:
    """Lifts the `first` oldest and the `recent` newest tokens of the text above every score; dead slots become 0.

    Args:
        scores: (B, H, S).
        observation: Says where each token stands.
        first: Tokens counted from position 0.
        recent: Tokens counted back from the newest.
    """
    positions = observation.positions
    pinned = (positions < first) | (positions >= observation.seen - recent)
    return scores.masked_fill(pinned, float("inf")).masked_fill(~observation.live, 0.0)


def check_pins(budget: Budget, protect: tuple[int, int], *, first: int = 0, recent: int = 0, what: str) -> None:
    """Refuses a budget in tokens that does not hold what a policy pins together with what the cache protects.

    Args:
        budget: The budget; fractions pass, since the length of the text is not known yet.
        protect: The cache's (`protect_first`, `protect_recent`).
        first: Oldest tokens that the policy pins.
        recent: Newest tokens that the policy pins.
        what: The pinned tokens in words, with the settings that change them.

    Raises:
        BudgetError: With the value given and what to change.
    """
    needed = max(first, protect[0]) + max(recent, protect[1])
    if isinstance(budget, int) and budget < needed:
        raise BudgetError(
            f"budget={budget}: expected at least {needed}, for {what} and protect_first={protect[0]}, "
            f"protect_recent={protect[1]}; raise the budget or lower one of these"
        )


def check_count(name: str, value: int, least: int) -> None:
    """Refuses a setting that is not an integer of at least `least`.

    Raises:
        ConfigError: With the value given.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name}={value!r}: expected an integer, {least} or more")


def check_odd(name: str, value: int) -> None:
    """Refuses a setting that is not a positive odd number, so that it has no middle.

    Raises:
        ConfigError: With the value given.
    """
    check_count(name, value, 1)
    if value % 2 == 0:
        raise ConfigError(f"{name}={value}: expected a positive odd number, such as 5 or 7")


def check_number(name: str, value: float, least: float, most: float = float("inf")) -> None:
    """Refuses a setting that is not a number in [least, most].

    Raises:
        ConfigError: With the value given.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        upper = "or more" if most == float("inf") else f"to {most:g}"
        raise ConfigError(f"{name}={value!r}: expected a number, {least:g} {upper}")
