"""A diagonal evolution strategy in which every member counts, the worse half negatively."""

from typing import Any

import numpy as np

from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.ask_tell import AskTell, check_start, generator
from namm_xmodal.evolution.ranking import utilities


class OptimalWeights:
    """Weighted recombination (Arnold, Weighted multirecombination evolution strategies, TCS 361, 2006).

    With many more parameters than members each rank carries a signal: the weight of a rank is the expected value of its
    normal order statistic, over all members. Scaled to the expected gain of the usual truncated weights, the same step
    has half the random walk in it. Step size by two points on the line of the last shift (Hansen 2008), with the
    constants of pycma; covariance diagonal (sep-CMA-ES, Ros and Hansen, PPSN 2008).
    """

    name = "optimal_weights"

    def __init__(self, start: Array, *, population: int = 16, sigma0: float = 0.065, seed: int = 0) -> None:
        """Places the search distribution.

        Args:
            start: First mean, shape (N,).
            population: Members per generation, at least 4; two of them probe the step size.
            sigma0: First standard deviation of every parameter.
            seed: Seed of its own generator.

        Raises:
            ConfigError: If a value is out of range.
        """
        self._mean = check_start(start, population, sigma0)
        size = len(self._mean)
        self.population = population
        self._sigma = float(sigma0)
        self._variances = np.ones(size)
        self._path = np.zeros(size)
        self._shift: Array | None = None
        self._trend = 0.0  # the smoothed verdict on the step size, between -1 and 1
        self._generator = generator(seed)
        self._ask_tell = AskTell()
        self._set_constants(size)
        self.spec: dict[str, Any] = {
            "name": self.name,
            "parameters": size,
            "population": population,
            "sigma0": sigma0,
            "seed": seed,
        }

    @property
    def mean(self) -> Array:
        """See `Strategy`."""
        return self._mean.copy()

    @property
    def sigma(self) -> float:
        """See `Strategy`; root mean square over parameters."""
        return float(self._sigma * np.sqrt(self._variances.mean()))

    def ask(self) -> Array:
        """See `Strategy`."""
        self._ask_tell.check_free()
        steps = self._generator.standard_normal((self.population, len(self._mean)))
        if self._shift is not None:  # members 0 and 1 are the last shift and its mirror, as long as a usual step
            direction = self._shift / np.sqrt(self._variances)
            direction *= np.linalg.norm(steps[0]) / max(float(np.linalg.norm(direction)), 1e-300)
            steps[0], steps[1] = direction, -direction
        return self._ask_tell.asked(self._mean + self._sigma * np.sqrt(self._variances) * steps)

    def tell(self, members: Array, fitness: Array) -> None:
        """See `Strategy`."""
        asked, values = self._ask_tell.told(members, fitness)
        steps = (asked - self._mean) / self._sigma  # (P, N)
        shift = utilities(values, self._weights) @ steps
        self._mean = self._mean + self._sigma * shift
        self._adapt_variances(steps, shift, utilities(values, self._truncated))
        if self._shift is not None:
            self._adapt_sigma(values)
        self._shift = shift if np.any(shift) else None

    def _adapt_variances(self, steps: Array, shift: Array, truncated: Array) -> None:
        rate = self._path_rate
        # The path is scaled by this recombination's own variance, 1 / sum of squared weights, to be N(0, C) in neutrality.
        self._path = (1 - rate) * self._path + np.sqrt(rate * (2 - rate) * self._mu_eff) * shift
        one, mu = self._rank_one, self._rank_mu
        spread = truncated @ np.square(steps)
        self._variances = (1 - one - mu) * self._variances + one * np.square(self._path) + mu * spread

    def _adapt_sigma(self, values: Array) -> None:
        ahead = np.sum(values > values[1]) - np.sum(values > values[0])  # places that member 0 is ahead of member 1
        verdict = ahead / (self.population - 1)
        self._trend = 0.7 * self._trend + 0.3 * float(np.sign(verdict) * np.sqrt(abs(verdict)))
        self._sigma *= float(np.exp(self._trend / self._damping))

    def _set_constants(self, size: int) -> None:
        members = self.population
        expected = _normal_order_statistics(members)
        place = np.arange(1, members + 1)
        truncated = np.maximum(0.0, np.log((members + 1) / 2) - np.log(place))
        truncated /= truncated.sum()
        gain = float(truncated @ expected)
        self._truncated = truncated
        self._weights = expected * gain / float(expected @ expected)
        self._mu_eff = 1.0 / float(self._weights @ self._weights)
        usual = 1.0 / float(truncated @ truncated)
        self._path_rate = (4 + usual / size) / (size + 4 + 2 * usual / size)
        faster = (size + 2) / 3  # sep-CMA-ES: a diagonal has that many times fewer numbers to learn
        one = 2 / ((size + 1.3) ** 2 + usual)
        mu = 2 * (usual - 2 + 1 / usual) / ((size + 2) ** 2 + usual)
        self._rank_one = min(one * faster, 0.5)
        self._rank_mu = min(mu * faster, 0.5 - self._rank_one / 2)
        self._damping = 0.7 + 2 * np.log(size) + 2 * np.log(max(1, members - size))


def _normal_order_statistics(members: int) -> Array:
    """Expected values of the largest, second largest, ... of normal numbers (Blom, 1958): shape (P,)."""
    from statistics import NormalDist

    place = np.arange(1, members + 1)
    return np.array([-NormalDist().inv_cdf((p - 0.375) / (members + 0.25)) for p in place])
