"""The policy gradient: unbiased where everything can be counted, and drawn by the engine that evaluations use."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from families import tiny

from namm_xmodal import Namm
from namm_xmodal.errors import ConfigError
from namm_xmodal.fitness import MixtureFactory, ObjectiveSettings, TemplateSpec
from namm_xmodal.fitness.language import answer_lesson
from namm_xmodal.fitness.pool import TrainingSample
from namm_xmodal.fitness.population_run import PruningSettings, base_score, by_sample, run_rows
from namm_xmodal.gradient import DescentSettings
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.policy_gradient import policy_gradient, reinforce
from namm_xmodal.gradient.rollouts import Decisions, RolloutSettings, SampledEvictions
from namm_xmodal.gradient.run import descend, read_steps
from namm_xmodal.gradient.sample import sample_gradient
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.language.tiny_random import build_tiny_random
from namm_xmodal.policies.namm import FeatureStatistics, ThresholdSchedule

PRUNING = PruningSettings(32, 2, 3)
STATISTICS = FeatureStatistics(torch.full((17,), 0.01), torch.full((17,), 0.02), "a test")
POLICY = Namm.untrained("random", sigma=0.3, seed=5, statistics=STATISTICS)
PARAMETERS = POLICY.parameters[0].double().numpy()
SCHEDULE = ThresholdSchedule((32, 128), (-1.4, -1.8))
AIM = Aim(SCHEDULE, 0.25)
TEMPERATURE = 0.4


@pytest.fixture(scope="module")
def model():
    return build_tiny_random()[0].double().eval()


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(3)
    return TrainingSample(tuple(rng.integers(0, 97, 150).tolist()), tuple(rng.integers(0, 97, 9).tolist()))


def taken(model, sample, seed=0, aim=AIM, **settings):
    options = RolloutSettings(**{"rollouts": 4, "temperature": TEMPERATURE, **settings})

    def run(policy, count):
        return by_sample([run_rows(model, sample, policy, count, PRUNING)], [base_score(model, sample)])

    return policy_gradient(answer_lesson(model, sample, PRUNING), run, PARAMETERS, POLICY, aim, options, seed)


# ---------------------------------------------------------------------- a world small enough to count
class World:
    """Four slots, two updates. Slot 0 is protected at the first; slot 3 arrives after it and is protected at the second.

    What features see at the second update depends on what the first has left, as in a real cache.
    """

    def __init__(self):
        rng = torch.Generator().manual_seed(2)
        count = POLICY.features.num_constants
        self.first = torch.randn(1, 1, count, 4, generator=rng, dtype=torch.float64)
        self.second = torch.randn(4, 1, count, 4, generator=rng, dtype=torch.float64)  # by what the first has left
        self.rewards = torch.rand(64, generator=rng, dtype=torch.float64)

    def decide(self, coins):
        """Both updates, and a number of the outcome; None if a coin was tossed for a token that had left."""
        a, b, *later = coins
        live = torch.tensor([True, True, True, False])[None, None]
        free = torch.tensor([False, True, True, False])[None, None]
        kept = torch.tensor([True, a, b, False])[None, None]
        after = kept | torch.tensor([False, False, False, True])
        free_after = kept.clone()
        if any(coin and not was for coin, was in zip(later, (True, a, b), strict=True)):
            return None
        kept_after = torch.tensor([*later, True])[None, None]
        number = sum(coin << place for place, coin in enumerate(coins))
        return [
            Decisions(1, 0, at(0.1), self.first, live, free, kept),
            Decisions(2, 0, at(-0.2), self.second[2 * a + b][None], after, free_after, kept_after),
        ], number

    def outcomes(self):
        return [found for coins in product((False, True), repeat=5) if (found := self.decide(coins)) is not None]


def at(threshold):
    return Aim(ThresholdSchedule((1,), (threshold,)), 0.5)


def chance(decisions, vector):
    """Of an outcome, by the definition: a product over the tokens that were drawn for."""
    whole = torch.ones((), dtype=torch.float64)
    for each in decisions:
        stay = 1 / (1 + torch.exp(-(each.scores(POLICY, vector) - each.aim.schedule.offset[0]) / TEMPERATURE))
        for slot in range(4):
            if each.free[0, 0, slot]:
                whole = whole * (stay[0, 0, slot] if each.kept[0, 0, slot] else 1 - stay[0, 0, slot])
    return whole


def joined(one, other):
    parts = {name: [getattr(one, name), getattr(other, name)] for name in ("constants", "live", "free", "kept")}
    return replace(one, **{name: torch.cat(pair) for name, pair in parts.items()})


@pytest.mark.with_gradients
def test_the_expected_gradient_is_the_exact_one():
    world = World()
    vector = torch.tensor(PARAMETERS, requires_grad=True)
    outcomes = world.outcomes()
    chances = torch.stack([chance(decisions, vector) for decisions, _ in outcomes])
    assert chances.sum().item() == pytest.approx(1, abs=1e-12)
    rewards = torch.stack([world.rewards[number] for _, number in outcomes])
    (exact,) = torch.autograd.grad((chances * rewards).sum(), vector)
    expected, chances = torch.zeros_like(vector), chances.detach()
    for (one, p, r), (other, q, s) in product(zip((d for d, _ in outcomes), chances, rewards, strict=True), repeat=2):
        both = [joined(*pair) for pair in zip(one, other, strict=True)]
        expected += p * q * reinforce(both, torch.stack([r, s]), POLICY, vector, TEMPERATURE)[0]
    assert exact.norm() > 1e-3
    assert torch.allclose(-expected, exact, rtol=1e-9, atol=1e-14)


@pytest.mark.with_gradients
def test_the_size_gradient_is_that_of_the_expected_size():
    decisions, _ = World().decide((True, False, True, True, False))
    vector = torch.tensor(PARAMETERS, requires_grad=True)
    both = [joined(each, each) for each in decisions]
    _, size = reinforce(both, torch.zeros(2, dtype=torch.float64), POLICY, vector, TEMPERATURE)
    kept = sum(
        torch.sigmoid((each.scores(POLICY, vector) - each.aim.schedule.offset[0]) / TEMPERATURE)[each.free].sum()
        for each in decisions
    )
    assert torch.allclose(size, torch.autograd.grad(kept, vector)[0], rtol=1e-9)


# ---------------------------------------------------------------------- through the engine
def test_draws_respect_protection_and_the_dead(model, sample):
    generator = torch.Generator().manual_seed(1)
    drawing = SampledEvictions(POLICY, POLICY.parameters[0], AIM, 1e6, generator)  # so hot that scores do not count
    run_rows(model, sample, drawing, 6, PRUNING)
    assert [each.seen for each in drawing.decisions] == [32, 64, 96, 128] * 2
    coins = heads = 0
    for layer in (drawing.decisions[:4], drawing.decisions[4:]):
        held = torch.zeros(6, 2)
        for each in layer:
            assert torch.equal(each.live.sum(-1), held + 32)
            assert not (each.kept & ~each.live).any()
            protected = each.live & ~each.free
            assert (protected.sum(-1) == 5).all()
            assert each.kept[protected].all()
            coins, heads = coins + int(each.free.sum()), heads + int((each.free & each.kept).sum())
            held = each.kept.sum(-1)
    assert abs(heads - coins / 2) < 5 * np.sqrt(coins) / 2


def test_without_chance_it_judges_what_straight_through_judges(model, sample):
    cold = taken(model, sample, temperature=1e-9)
    with torch.enable_grad():
        expected = sample_gradient(answer_lesson(model, sample, PRUNING), PARAMETERS, POLICY, AIM)
    assert 0.05 < cold.kept < 0.95
    assert cold.loss == pytest.approx(expected.loss, rel=1e-5)  # the engine's probabilities are float32
    assert cold.kept == pytest.approx(expected.kept, abs=1e-9)
    assert cold.thresholds == pytest.approx(expected.thresholds, abs=1e-5)


def test_draws_are_those_of_the_seed(model, sample):
    first, again, other = (taken(model, sample, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.gradient, again.gradient)
    assert np.abs(first.gradient).max() > 0
    assert np.isfinite(first.size_gradient).all()
    assert not np.allclose(first.gradient, other.gradient)


def test_the_base_model_is_not_differentiated(sample):
    windowed, differentiated = tiny("mistral"), []
    windowed.model.layers[0].register_forward_hook(lambda *given: differentiated.append(torch.is_grad_enabled()))
    with torch.enable_grad():
        assert np.abs(taken(windowed, sample).gradient).max() > 0
        assert set(differentiated) == {False}
        sample_gradient(answer_lesson(windowed, sample, PRUNING), PARAMETERS, POLICY, AIM)
    assert differentiated.pop()


# ---------------------------------------------------------------------- runs
def test_killed_and_with_other_workers_it_ends_with_the_same_bits(tmp_path):
    factory = MixtureFactory(
        ObjectiveSettings(("tiny-random",), {"keys": KeyRetrieval(length=(200,))}, 2, 4, PruningSettings(32, 2, 4)),
        TemplateSpec((0.01,) * 17, (0.02,) * 17, "a test"),
    )
    settings, rollouts = DescentSettings(steps=3, anneal=2, budget=0.3), RolloutSettings(3, 0.1)

    class Killed(Exception):
        pass

    def kill(record):
        raise Killed

    whole = descend(factory, settings, tmp_path / "whole", "abc", rollouts=rollouts)
    with pytest.raises(Killed):
        descend(factory, settings, tmp_path / "cut", "abc", rollouts=rollouts, on_progress=kill)
    again = descend(factory, settings, tmp_path / "cut", "abc", rollouts=rollouts, workers=2)
    assert np.array_equal(again.parameters, whole.parameters)
    assert read_steps(tmp_path / "cut") == read_steps(tmp_path / "whole")
    assert [record.step for record in read_steps(tmp_path / "cut")] == [1, 2, 3]


@pytest.mark.parametrize(("name", "value"), [("rollouts", 1), ("temperature", 0.0)])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name}={value}: expected"):
        RolloutSettings(**{name: value})
