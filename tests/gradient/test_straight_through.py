"""Straight-through attention: the forward pass is the pruned engine's, the backward pass is that of the gates."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from namm_xmodal import Namm, pruned
from namm_xmodal.adapters.language import LanguageAdapter
from namm_xmodal.errors import UnsupportedOperationError
from namm_xmodal.fitness.language import answer_lesson
from namm_xmodal.fitness.pool import TrainingSample
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.attention import STRAIGHT_THROUGH, _weights
from namm_xmodal.gradient.gate import straight_through
from namm_xmodal.gradient.sample import differentiable, sample_gradient
from namm_xmodal.language.tiny_random import build_tiny_random
from namm_xmodal.policies.namm import FeatureStatistics, MlpScorer, ThresholdSchedule
from namm_xmodal.policies.protocol import Candidates
from namm_xmodal.types import LayerShape

PRUNING = PruningSettings(32, 2, 3)
STATISTICS = FeatureStatistics(torch.full((17,), 0.01), torch.full((17,), 0.02), "a test")


@pytest.fixture(autouse=True)
def _gradients():
    with torch.enable_grad():
        yield


@pytest.fixture(scope="module")
def model():
    found, _ = build_tiny_random()
    return found.double().eval()


@pytest.fixture
def sample():
    rng = np.random.default_rng(3)
    return TrainingSample(tuple(rng.integers(0, 256, 150).tolist()), tuple(rng.integers(0, 256, 9).tolist()))


@pytest.mark.parametrize("scorer", [None, MlpScorer()], ids=["bam", "mlp"])
@pytest.mark.parametrize("threshold", [-0.2, 0.1])
def test_the_loss_is_that_of_the_pruned_engine(model, sample, scorer, threshold):
    policy = Namm.untrained("random", sigma=0.3, seed=5, statistics=STATISTICS, scorer=scorer)
    schedule = ThresholdSchedule((32, 128), (threshold + 0.05, threshold))
    policy = replace(policy, schedule=schedule)
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]])
    with torch.no_grad(), pruned(model, policy, update_every=32, protect_first=2, protect_recent=3) as memory:
        logits = model(ids, past_key_values=memory.cache(), logits_to_keep=len(sample.answer)).logits[0]
        live = memory.report()
    expected = -logits.log_softmax(-1).gather(-1, torch.tensor(sample.answer)[:, None]).mean().item()
    found = sample_gradient(
        answer_lesson(model, sample, PRUNING), policy.parameters[0].numpy(), policy, Aim(schedule, 0.3)
    )
    assert found.loss == pytest.approx(expected, rel=1e-9)
    after_last_update = 128 + 30  # the last update came after 128 of the 158 tokens; the rest joined afterwards
    assert found.kept * 128 + 30 == pytest.approx(live.kept_fraction * after_last_update, abs=1e-6)
    assert 0.02 < live.kept_fraction < 0.98
    assert np.isfinite(found.gradient).all() and np.abs(found.gradient).max() > 0


def test_the_loss_falls_along_the_gradient_of_the_gates():
    torch.manual_seed(0)
    query, key = torch.randn(1, 2, 2, 5, 4, dtype=torch.float64), torch.randn(1, 2, 12, 4, dtype=torch.float64)
    live = torch.ones(1, 2, 12, dtype=torch.bool)
    seen = torch.ones(5, 12, dtype=torch.bool).tril(7)[None, None]
    gate = torch.rand(1, 2, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: _weights(query, key, g, live, seen), (gate,))


def test_an_evicted_token_weighs_nothing_and_still_has_a_gradient():
    scores = torch.tensor([[[1.0, -1.0, 0.5, -2.0]]], requires_grad=True)
    live = torch.tensor([[[True, True, True, False]]])
    protected = torch.tensor([[[False, False, True, False]]])
    kept = Aim(ThresholdSchedule(), 0.5).keep(scores, Candidates(live, protected, 4, LayerShape(0, 1, 1, 1, 8)))
    assert kept.tolist() == [[[True, False, True, False]]]
    gate = straight_through(scores, live & ~protected, kept)
    assert gate.open.detach()[0, 0, :3].tolist() == [1.0, 0.0, 1.0]
    (gradient,) = torch.autograd.grad(gate.open.sum(), scores)
    slope = torch.sigmoid(scores.detach()) * (1 - torch.sigmoid(scores.detach()))
    assert torch.allclose(gradient[0, 0], torch.where(live & ~protected, slope, 0.0)[0, 0])


def test_the_wanted_threshold_gives_the_wanted_size(model, sample):
    """With one update (64 tokens, so nothing depends on earlier evictions) the quantile is exact up to ties."""
    short = TrainingSample(sample.prompt[:60], sample.answer)
    policy = Namm.untrained("random", sigma=0.3, seed=5, statistics=STATISTICS)
    parameters = policy.parameters[0].numpy()
    lesson = answer_lesson(model, short, PruningSettings(48, 2, 3))
    first = sample_gradient(lesson, parameters, policy, Aim(ThresholdSchedule(), 0.4))
    wanted = ThresholdSchedule.of(first.thresholds)
    second = sample_gradient(lesson, parameters, policy, Aim(wanted, 0.4))
    third = sample_gradient(lesson, parameters, policy, Aim(wanted, 0.4, floor=30))
    assert second.kept == pytest.approx(0.4, abs=2 / (48 * 4))
    assert third.thresholds[48] < second.thresholds[48]  # 30 of 48 tokens are more than 40%


def test_the_model_is_given_back_as_it_was(model, sample):
    before = model.config._attn_implementation
    with differentiable(model, LanguageAdapter()):
        assert model.config._attn_implementation == STRAIGHT_THROUGH
        with pytest.raises(UnsupportedOperationError, match=r"only works inside namm_xmodal\.gradient"):
            model(torch.tensor([sample.prompt]), use_cache=False)
    assert model.config._attn_implementation == before
    assert all(parameter.requires_grad for parameter in model.parameters())
