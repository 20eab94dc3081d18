"""Evolution strategies as gradient ascent (Salimans et al., arXiv 1703.03864): mirrored members, ranks, Adam."""

from typing import Any

import numpy as np

from namm_xmodal.errors import ConfigError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.ask_tell import AskTell, check_start, generator
from namm_xmodal.evolution.ranking import ranks

DECAYS = 0.9, 0.999  # of Adam's two moments (Kingma and Ba, arXiv 1412.6980)


class OpenAiEs:
    """Isotropic, with a step size that never changes; the ranks' gradient is followed with Adam."""

    name = "openai_es"

    def __init__(
        self,
        start: Array,
        *,
        population: int = 16,
        sigma0: float = 0.065,
        seed: int = 0,
        learning_rate: float = 0.02,
    ) -> None:
        """Places the search distribution.

        Args:
            start: First mean, shape (N,).
            population: Members per generation, even, at least 4: each comes with its mirror image.
            sigma0: Standard deviation of every parameter.
            seed: Seed of its own generator.
            learning_rate: Adam's, above 0: about the change of a parameter in one generation.

        Raises:
            ConfigError: If a value is out of range.
        """
        self._mean = check_start(start, population, sigma0)
        if population % 2:
            raise ConfigError(f"population={population}: expected an even number; members come in mirrored pairs")
        if not learning_rate > 0:
            raise ConfigError(f"learning_rate={learning_rate}: expected a positive number")
        self.population = population
        self.sigma = float(sigma0)
        self._rate = float(learning_rate)
        self._generator = generator(seed)
        self._ask_tell = AskTell()
        self._steps = np.zeros((population, len(self._mean)))
        self._first = np.zeros_like(self._mean)
        self._second = np.zeros_like(self._mean)
        self._told = 0
        self.spec: dict[str, Any] = {
            "name": self.name,
            "parameters": len(self._mean),
            "population": population,
            "sigma0": sigma0,
            "seed": seed,
            "learning_rate": learning_rate,
        }

    @property
    def mean(self) -> Array:
        """See `Strategy`."""
        return self._mean.copy()

    def ask(self) -> Array:
        """See `Strategy`."""
        self._ask_tell.check_free()
        half = self._generator.standard_normal((self.population // 2, len(self._mean)))
        self._steps = np.concatenate([half, -half])
        return self._ask_tell.asked(self._mean + self.sigma * self._steps)

    def tell(self, members: Array, fitness: Array) -> None:
        """See `Strategy`."""
        _, values = self._ask_tell.told(members, fitness)
        centred = ranks(values) / (self.population - 1) - 0.5
        gradient = centred @ self._steps / (self.population * self.sigma)
        self._told += 1
        slow, slower = DECAYS
        self._first = slow * self._first + (1 - slow) * gradient
        self._second = slower * self._second + (1 - slower) * np.square(gradient)
        first = self._first / (1 - slow**self._told)
        second = self._second / (1 - slower**self._told)
        self._mean = self._mean + self._rate * first / (np.sqrt(second) + 1e-8)
