"""The ask / tell history of a strategy, and deterministic replay of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.generation import FitnessValues, Generation
from namm_xmodal.evolution.strategy import Strategy


@dataclass(frozen=True)
class PastTell:
    """One finished tell of a history.

    Attributes:
        fitness: One number per member, None where it failed.
        members: Digest of the population.
        mean: Digest of the mean after it.
    """

    fitness: FitnessValues
    members: str
    mean: str

    @classmethod
    def of(cls, generation: Generation) -> "PastTell":
        """The tell of a finished generation."""
        return cls(generation.fitness, generation.members, generation.mean)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"fitness": self.fitness, "members": self.members, "mean": self.mean}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "PastTell":
        """Reads `to_json`.

        Raises:
            EvolutionError: If a field is missing.
        """
        try:
            return cls(tuple(values["fitness"]), values["members"], values["mean"])
        except (KeyError, TypeError) as error:
            raise EvolutionError(f"not the record of a tell ({error})") from None


def replay(strategy: Strategy, history: Iterable[PastTell]) -> None:
    """Brings a new strategy to the state that another one reached, bit for bit, by replaying its history.

    Nothing is evaluated: the strategy is asked again and told the recorded fitness. Digests check at each step that the
    populations are the same.

    Args:
        strategy: Of the same spec and start as the one on record, not yet asked.
        history: Its tells, in order; see `read_run(...).history`.

    Raises:
        EvolutionError: If a population or mean differs from the record.
    """
    for step, past in enumerate(history):
        members = strategy.ask()
        _same(digest(members), past.members, step, "population")
        strategy.tell(members, np.array([np.nan if f is None else f for f in past.fitness], dtype=np.float64))
        _same(digest(strategy.mean), past.mean, step, "mean")


def _same(found: str, recorded: str, step: int, what: str) -> None:
    if found != recorded:
        raise EvolutionError(
            f"replay differs from the journal at step {step}: {what} {found[:12]}, recorded {recorded[:12]}; use the "
            "versions named in its first line and as many threads, or start a new run from its mean.npy"
        )
