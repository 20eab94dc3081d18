"""Random search: the baseline that every strategy has to beat at the same number of evaluations."""

from typing import Any

import numpy as np

from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.ask_tell import AskTell, check_start, generator


class RandomSearch:
    """Draws around its start for ever and keeps the best member met.

    The best so far is member 0 of each population, so that it is judged on the same samples as its challengers: a
    record from a lucky batch would never be beaten.
    """

    name = "random_search"

    def __init__(self, start: Array, *, population: int = 16, sigma0: float = 0.065, seed: int = 0) -> None:
        """Places the search distribution.

        Args:
            start: Centre of the search and first answer, shape (N,).
            population: Members per generation, the best so far among them, at least 4.
            sigma0: Standard deviation of every parameter.
            seed: Seed of its own generator.

        Raises:
            ConfigError: If a value is out of range.
        """
        self._start = check_start(start, population, sigma0)
        self._best = self._start.copy()
        self.population = population
        self.sigma = float(sigma0)
        self._generator = generator(seed)
        self._ask_tell = AskTell()
        self.spec: dict[str, Any] = {
            "name": self.name,
            "parameters": len(self._start),
            "population": population,
            "sigma0": sigma0,
            "seed": seed,
        }

    @property
    def mean(self) -> Array:
        """See `Strategy`; here the best member met."""
        return self._best.copy()

    def ask(self) -> Array:
        """See `Strategy`."""
        self._ask_tell.check_free()
        steps = self._generator.standard_normal((self.population - 1, len(self._start)))
        return self._ask_tell.asked(np.concatenate([self._best[None], self._start + self.sigma * steps]))

    def tell(self, members: Array, fitness: Array) -> None:
        """See `Strategy`."""
        asked, values = self._ask_tell.told(members, fitness)
        self._best = asked[int(np.argmax(values))].copy()  # the first of equals: the best so far stays on a plateau
