"""The rules of ask and tell: they alternate, about the same members, and a fitness that is not finite never wins."""

import numpy as np

from namm_xmodal.errors import ConfigError, ContractError, EvolutionError
from namm_xmodal.evolution.arrays import Array

SMALLEST_POPULATION = 4  # below, ranks carry next to no information


class AskTell:
    """Remembers the population that was asked for, and checks the fitness that is told."""

    def __init__(self) -> None:
        self._members: Array | None = None

    def asked(self, members: Array) -> Array:
        """Remembers a population and returns a copy that the caller may keep or change.

        Raises:
            ContractError: If the fitness of the one before has not been told.
        """
        self.check_free()
        self._members = members
        return members.copy()

    def check_free(self) -> None:
        """Raises if a population still waits for its fitness, before another one is drawn."""
        if self._members is not None:
            raise ContractError("ask was called twice; call tell with the fitness of the first population")

    def told(self, members: Array, fitness: Array) -> tuple[Array, Array]:
        """Checks a tell and forgets the population.

        Returns:
            The population as it was asked for, and the fitness with failures replaced: whatever is not finite becomes
            one less than the worst finite value, so that strategies which only rank need no special case.

        Raises:
            ContractError: If it does not fit what was asked.
            EvolutionError: If no fitness is finite.
        """
        if self._members is None:
            raise ContractError("tell was called before ask; call ask first")
        asked = self._members
        given = np.asarray(members, dtype=np.float64)
        if given.shape != asked.shape or not np.array_equal(given, asked):
            raise ContractError("tell received other members than ask returned; pass them unchanged and in order")
        values = np.array(fitness, dtype=np.float64)
        if values.shape != (len(asked),):
            raise ContractError(f"fitness has shape {values.shape}, expected ({len(asked)},): one number per member")
        good = np.isfinite(values)
        if not good.any():
            raise EvolutionError(f"none of the {len(values)} members has a finite fitness; nothing can be learned")
        values[~good] = values[good].min() - 1.0
        self._members = None
        return asked, values


def check_start(start: Array, population: int, sigma0: float) -> Array:
    """The start as a float64 vector of its own.

    Raises:
        ConfigError: If it is not a finite vector, the population is below 4 or the step size not positive.
    """
    vector = np.array(start, dtype=np.float64)
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise ConfigError(f"start of shape {vector.shape}: expected one vector of finite numbers")
    if population < SMALLEST_POPULATION:
        raise ConfigError(f"population={population}: expected at least {SMALLEST_POPULATION}; 16 is a good default")
    if not (np.isfinite(sigma0) and sigma0 > 0):
        raise ConfigError(f"sigma0={sigma0}: expected a positive step size; 0.065 is a good default")
    return vector


def generator(seed: int) -> np.random.Generator:
    """A strategy's own random generator; numpy's global one is neither read nor changed."""
    if seed < 0:
        raise ConfigError(f"seed={seed}: expected 0 or more")
    return np.random.Generator(np.random.PCG64(seed))
