"""Separable natural evolution strategy (Wierstra et al., JMLR 15, 2014, algorithm 6)."""

from typing import Any

import numpy as np

from namm_xmodal.errors import ConfigError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.ask_tell import AskTell, check_start, generator
from namm_xmodal.evolution.ranking import utilities


class SeparableNes:
    """SNES: natural gradient on the mean and the logarithm of each parameter's standard deviation."""

    name = "snes"

    def __init__(
        self,
        start: Array,
        *,
        population: int = 16,
        sigma0: float = 0.065,
        seed: int = 0,
        mean_rate: float = 1.0,
        sigma_rate: float | None = None,
    ) -> None:
        """Places the search distribution.

        Args:
            start: First mean, shape (N,).
            population: Members per generation, at least 4.
            sigma0: First standard deviation of every parameter.
            seed: Seed of its own generator.
            mean_rate: Learning rate of the mean, above 0.
            sigma_rate: Learning rate of the standard deviations, above 0; absent: (3 + ln N) / (5 sqrt N) of the paper.

        Raises:
            ConfigError: If a value is out of range.
        """
        self._mean = check_start(start, population, sigma0)
        size = len(self._mean)
        rate = (3 + np.log(size)) / (5 * np.sqrt(size)) if sigma_rate is None else sigma_rate
        for label, value in (("mean_rate", mean_rate), ("sigma_rate", rate)):
            if not value > 0:
                raise ConfigError(f"{label}={value}: expected a positive learning rate")
        self.population = population
        self._sigmas = np.full(size, float(sigma0))
        self._rates = float(mean_rate), float(rate)
        self._generator = generator(seed)
        self._ask_tell = AskTell()
        self._steps = np.zeros((population, size))
        place = np.arange(1, population + 1)
        raw = np.maximum(0.0, np.log(population / 2 + 1) - np.log(place))
        self._by_rank = raw / raw.sum() - 1.0 / population  # the paper's fitness shaping; they add up to 0
        self.spec: dict[str, Any] = {
            "name": self.name,
            "parameters": size,
            "population": population,
            "sigma0": sigma0,
            "seed": seed,
            "mean_rate": mean_rate,
            "sigma_rate": sigma_rate,
        }

    @property
    def mean(self) -> Array:
        """See `Strategy`."""
        return self._mean.copy()

    @property
    def sigma(self) -> float:
        """See `Strategy`; root mean square over parameters."""
        return float(np.sqrt(np.mean(np.square(self._sigmas))))

    def ask(self) -> Array:
        """See `Strategy`."""
        self._ask_tell.check_free()
        self._steps = self._generator.standard_normal(self._steps.shape)
        return self._ask_tell.asked(self._mean + self._sigmas * self._steps)

    def tell(self, members: Array, fitness: Array) -> None:
        """See `Strategy`."""
        _, values = self._ask_tell.told(members, fitness)
        shares = utilities(values, self._by_rank)
        mean_rate, sigma_rate = self._rates
        self._mean = self._mean + mean_rate * self._sigmas * (shares @ self._steps)
        self._sigmas = self._sigmas * np.exp(sigma_rate / 2 * (shares @ (np.square(self._steps) - 1)))
