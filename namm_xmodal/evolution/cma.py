"""CMA-ES (Hansen, The CMA Evolution Strategy: A Tutorial, arXiv 1604.00772), by pycma."""

from typing import Any, Literal

import numpy as np

from namm_xmodal.errors import ConfigError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.ask_tell import AskTell, check_start, generator

LARGEST_FULL = 5000  # parameters; at 10,000 a full covariance needs 5.5 GB and minutes per decomposition

Covariance = Literal["diagonal", "full"]
StepSize = Literal["tpa", "csa"]


class CmaStrategy:
    """CMA-ES with a diagonal covariance and two-point step-size adaptation.

    A full covariance cannot move at some thousand parameters within a thousand generations (its learning rates are of
    order 1e-6), so the default does without. Cumulative step-size adaptation (CSA) remembers 1 / c_sigma generations,
    several hundred here, which makes sigma0 the step size of the whole run; two-point adaptation (TPA: Hansen 2008;
    Hansen, Atamna and Auger 2014) compares two members on the line of the last mean shift, and forgets in tens.

    `covariance="full", step_size="csa", population=32` is the setting of the NAMM paper (arXiv 2410.13166): the table
    of strategies calls it `paper`. Its truncated recombination weights, c_1, c_sigma and d_sigma are pycma's own.
    Deviates: c_mu is 3% larger (pycma keeps the tutorial's + 1/4 of equation 58); the covariance is decomposed every
    1 / (10 N (c_1 + c_mu)) generations and not in each, which changes nothing while the covariance hardly moves.
    """

    name = "cma"

    def __init__(
        self,
        start: Array,
        *,
        population: int = 16,
        sigma0: float = 0.065,
        seed: int = 0,
        covariance: Covariance = "diagonal",
        step_size: StepSize = "tpa",
    ) -> None:
        """Places the search distribution.

        Args:
            start: First mean, shape (N,).
            population: Members per generation, at least 4. With `tpa`, two of them probe the step size.
            sigma0: First standard deviation of every parameter.
            seed: Seed of its own generator.
            covariance: `diagonal` or `full` (at most 5,000 parameters).
            step_size: `tpa` or `csa`.

        Raises:
            ConfigError: If a value is out of range.
        """
        vector = check_start(start, population, sigma0)
        if covariance not in ("diagonal", "full"):
            raise ConfigError(f"covariance={covariance!r}: expected diagonal or full")
        if step_size not in ("tpa", "csa"):
            raise ConfigError(f"step_size={step_size!r}: expected tpa or csa")
        if covariance == "full" and len(vector) > LARGEST_FULL:
            raise ConfigError(
                f"covariance='full' with {len(vector)} parameters: expected at most {LARGEST_FULL}; use diagonal"
            )
        self.population = population
        self.spec: dict[str, Any] = {
            "name": self.name,
            "parameters": len(vector),
            "population": population,
            "sigma0": sigma0,
            "seed": seed,
            "covariance": covariance,
            "step_size": step_size,
        }
        self._ask_tell = AskTell()
        self._asked: list[Any] = []
        self._engine = _engine(vector, population, sigma0, seed, covariance, step_size)

    @property
    def mean(self) -> Array:
        """See `Strategy`."""
        return np.array(self._engine.mean, dtype=np.float64)

    @property
    def sigma(self) -> float:
        """See `Strategy`; times the root mean square of the diagonal, which moves as well."""
        scale = np.asarray(self._engine.sigma_vec.scaling) * np.sqrt(np.asarray(self._engine.sm.variances))
        return float(self._engine.sigma * np.sqrt(np.mean(np.square(scale))))

    def ask(self) -> Array:
        """See `Strategy`."""
        self._ask_tell.check_free()
        self._asked = self._engine.ask()
        return self._ask_tell.asked(np.array(self._asked, dtype=np.float64))

    def tell(self, members: Array, fitness: Array) -> None:
        """See `Strategy`."""
        _, values = self._ask_tell.told(members, fitness)
        # pycma minimises, and knows the solutions it handed out by their bytes: it gets the same objects back.
        self._engine.tell(self._asked, (-values).tolist())
        self._asked = []


class _Normal:
    """Standard normal numbers in the form of `numpy.random.randn`, from a private generator."""

    def __init__(self, seed: int) -> None:
        self._generator = generator(seed)

    def __call__(self, *shape: int) -> Array:
        return self._generator.standard_normal(shape)


def _engine(
    start: Array, population: int, sigma0: float, seed: int, covariance: Covariance, step_size: StepSize
) -> Any:
    import cma  # takes a second to import: not paid by those who only list strategies
    from cma.sigma_adaptation import CMAAdaptSigmaCSA, CMAAdaptSigmaTPA

    if step_size == "tpa":  # asked for by name: pycma's own choice would be CSA below 300 parameters
        adapt = CMAAdaptSigmaTPA(dimension=len(start), popsize=population)
        # pycma checks a few coordinates in each tell, chosen by numpy's global generator: that is not ours to move.
        adapt.check_consistency = lambda engine: None
    else:
        adapt = CMAAdaptSigmaCSA(dimension=len(start), popsize=population)
    options = {
        "popsize": population,
        "CMA_diagonal": covariance == "diagonal",
        "AdaptSigma": adapt,
        "CMA_mirrors": 0,  # pycma's default adds mirrored samples below 6 members
        "seed": np.nan,  # any other value seeds numpy's global generator
        "randn": _Normal(seed),
        "verbose": -9,  # neither a log folder nor messages
        "verb_log": 0,
    }
    return cma.CMAEvolutionStrategy(start, sigma0, options)  # our loop decides when to stop: `stop` is never called
