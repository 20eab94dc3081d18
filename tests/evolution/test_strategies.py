"""Strategies: they converge, depend on nothing but what they are told, and let nothing broken win."""

import json
import subprocess
import sys

import numpy as np
import pytest

from namm_xmodal.errors import ConfigError, ContractError, EvolutionError, UnknownNameError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.cma import CmaStrategy
from namm_xmodal.evolution.ranking import rank_agreement, ranks, utilities
from namm_xmodal.evolution.table import PRESETS, STRATEGIES, build_strategy, strategy_options

NAMES = sorted([*STRATEGIES, *PRESETS])
LEARNERS = [name for name in NAMES if name != "random_search"]


def sphere(x):
    return -np.square(x - 0.5).mean(axis=-1)


def ellipsoid(x):
    weights = np.logspace(0, 3, x.shape[-1])
    return -(weights * np.square(x - 0.5)).mean(axis=-1) / weights.mean()


class Noisy:
    """The sphere with noise as large as the spread of the first population."""

    def __init__(self, seed=7):
        self.rng = np.random.default_rng(seed)
        self.spread = None

    def __call__(self, x):
        values = sphere(x)
        if self.spread is None:
            self.spread = values.std()
        return values + self.spread * self.rng.standard_normal(values.shape)


def optimise(strategy, function, generations):
    for _ in range(generations):
        members = strategy.ask()
        strategy.tell(members, function(members))
    return strategy


def make(name, size=30, **options):
    return build_strategy(name, np.zeros(size), **{"population": 16, **options})


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(("function", "left"), [(sphere, 0.1), (ellipsoid, 0.2)], ids=["sphere", "ellipsoid"])
def test_strategy_converges(name, function, left):
    strategy = optimise(make(name), function, 150)
    assert function(strategy.mean) / function(np.zeros(30)) < left


@pytest.mark.parametrize("name", LEARNERS)
def test_strategy_makes_progress_under_noise(name):
    strategy = optimise(make(name), Noisy(), 150)
    assert sphere(strategy.mean) / sphere(np.zeros(30)) < 0.5


def test_strategy_of_random_search_never_gets_worse():
    strategy = make("random_search")
    best = []
    for _ in range(30):
        best.append(sphere(optimise(strategy, sphere, 1).mean))
    assert best == sorted(best)
    assert best[-1] > sphere(np.zeros(30))
    assert np.array_equal(strategy.ask()[0], strategy.mean)  # judged again on the samples of its challengers


@pytest.mark.parametrize("name", NAMES)
def test_strategy_depends_on_its_seed_alone(name):
    np.random.seed(1)  # noqa: NPY002 - the global generator is what must not matter
    first = optimise(make(name, seed=3), ellipsoid, 6)
    np.random.seed(2)  # noqa: NPY002
    again = optimise(make(name, seed=3), ellipsoid, 6)
    other = optimise(make(name, seed=4), ellipsoid, 6)
    assert digest(first.mean) == digest(again.mean)
    assert first.sigma == again.sigma
    assert digest(first.mean) != digest(other.mean)


@pytest.mark.parametrize("name", NAMES)
def test_strategy_leaves_the_global_generator_alone(name):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    optimise(make(name), sphere, 6)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", NAMES)
def test_strategy_keeps_its_arrays_to_itself(name):
    start = np.zeros(30)
    strategy = build_strategy(name, start, population=8)
    calm = build_strategy(name, np.zeros(30), population=8)
    for _ in range(5):
        members = strategy.ask()
        fitness = ellipsoid(members)
        mean = strategy.mean
        mean += 99  # a caller may do what it likes with what it got
        strategy.tell(members, fitness)
        members += 99
        fitness += 99
        optimise(calm, ellipsoid, 1)
    assert not start.any()
    assert digest(strategy.mean) == digest(calm.mean)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_strategy_ranks_what_is_not_finite_last(name, broken):
    strategy, reference = make(name), make(name)
    for _ in range(4):
        members = strategy.ask()
        fitness = sphere(members)
        worst = fitness.copy()
        fitness[5] = broken
        worst[5] = np.delete(worst, 5).min() - 1.0
        strategy.tell(members, fitness)
        reference.tell(reference.ask(), worst)
    assert digest(strategy.mean) == digest(reference.mean)
    assert np.isfinite(strategy.mean).all()


@pytest.mark.parametrize("name", NAMES)
def test_strategy_forgets_the_scale_of_fitness(name):
    plain, warped = make(name), make(name)
    optimise(plain, sphere, 5)
    optimise(warped, lambda x: 1e3 * np.exp(sphere(x)) - 17, 5)
    assert digest(plain.mean) == digest(warped.mean)


@pytest.mark.parametrize("name", ["snes", "openai_es", "optimal_weights", "random_search"])
def test_strategy_stays_on_a_plateau(name):
    strategy = optimise(make(name), lambda x: np.zeros(len(x)), 5)
    assert np.abs(strategy.mean).max() < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_strategy_takes_asks_and_tells_in_turn(name):
    strategy = make(name)
    with pytest.raises(ContractError, match="tell was called before ask"):
        strategy.tell(np.zeros((16, 30)), np.zeros(16))
    members = strategy.ask()
    with pytest.raises(ContractError, match="ask was called twice"):
        strategy.ask()
    with pytest.raises(ContractError, match="other members"):
        strategy.tell(members[::-1], np.zeros(16))
    with pytest.raises(ContractError, match=r"shape \(15,\), expected \(16,\)"):
        strategy.tell(members, np.zeros(15))
    with pytest.raises(EvolutionError, match="none of the 16 members"):
        strategy.tell(members, np.full(16, np.nan))
    strategy.tell(members, sphere(members))  # a refused tell changes nothing


@pytest.mark.parametrize("name", NAMES)
def test_strategy_spec_is_json_and_rebuilds_it(name):
    strategy = make(name, sigma0=0.1, seed=9)
    spec = json.loads(json.dumps(strategy.spec))
    base, size = spec.pop("name"), spec.pop("parameters")
    again = build_strategy(base, np.zeros(size), **spec)
    assert again.spec == strategy.spec
    assert digest(again.ask()) == digest(strategy.ask())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 3}, "population=3: expected at least 4"),
        ({"sigma0": 0.0}, "sigma0=0.0: expected a positive"),
        ({"sigma0": float("nan")}, "sigma0=nan"),
        ({"seed": -1}, "seed=-1: expected 0 or more"),
        ({"sgima0": 1}, "has no option 'sgima0'"),
    ],
)
def test_strategy_refuses_bad_input(name, options, message):
    with pytest.raises(ConfigError, match=message):
        make(name, **options)


def test_strategy_specific_bad_input():
    with pytest.raises(ConfigError, match=r"start of shape \(2, 2\)"):
        build_strategy("cma", np.zeros((2, 2)))
    with pytest.raises(ConfigError, match="expected at most 5000; use diagonal"):
        build_strategy("paper", np.zeros(5001))
    with pytest.raises(ConfigError, match="covariance='block'"):
        make("cma", covariance="block")
    with pytest.raises(ConfigError, match="step_size='x'"):
        make("cma", step_size="x")
    with pytest.raises(ConfigError, match="expected an even number"):
        make("openai_es", population=5)
    with pytest.raises(UnknownNameError, match="did you mean cma"):
        make("cmaa")


def test_strategy_paper_preset_has_the_constants_of_the_reference():
    strategy = build_strategy("paper", np.zeros(500))
    assert strategy_options("paper") == {**strategy_options("cma"), **PRESETS["paper"][1]}
    engine = strategy._engine
    weights = engine.sp.weights
    assert weights.mueff == pytest.approx(9.179, abs=1e-3)  # 01-algorithm: population 32, whatever the dimension
    assert weights[:3] == pytest.approx([0.198, 0.149, 0.120], abs=1e-3)
    assert weights.mu == 16
    n, mu_eff = 500, weights.mueff
    c_sigma = (mu_eff + 2) / (n + mu_eff + 5)
    assert engine.adapt_sigma.cs == pytest.approx(c_sigma, rel=0.01)
    assert engine.adapt_sigma.damps == pytest.approx(1 + c_sigma, rel=0.01)
    assert engine.sp.c1 == pytest.approx(2 / ((n + 1.3) ** 2 + mu_eff), rel=0.01)
    assert engine.sp.cmu == pytest.approx(2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff), rel=0.05)


def test_strategy_default_probes_its_step_size_on_the_last_shift():
    strategy = CmaStrategy(np.zeros(40), population=8)
    before = strategy.mean
    optimise(strategy, sphere, 1)
    shift = strategy.mean - before
    probes = strategy.ask()[:2] - strategy.mean
    for probe, sign in zip(probes, (1, -1), strict=True):
        cosine = probe @ shift / np.linalg.norm(probe) / np.linalg.norm(shift)
        assert cosine == pytest.approx(sign, abs=0.02)


def test_listing_strategies_does_not_import_pycma():
    code = "import sys, namm_xmodal.evolution.table; print(sorted({'cma', 'torch', 'ray'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_ranks_and_utilities_share_among_equals():
    values = np.array([3.0, 1.0, 3.0, 2.0])
    assert ranks(values).tolist() == [2.5, 0.0, 2.5, 1.0]
    assert utilities(values, np.array([4.0, 2.0, 1.0, 0.0])).tolist() == [3.0, 0.0, 3.0, 1.0]


def test_rank_agreement():
    a = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_agreement(a, a * 10) == pytest.approx(1.0)
    assert rank_agreement(a, -a) == pytest.approx(-1.0)
    assert rank_agreement(a, np.array([1.0, np.nan, 2.0, 9.0])) == pytest.approx(1.0)
    assert rank_agreement(a, np.ones(4)) is None
    assert rank_agreement(a[:2], a[:2]) is None
