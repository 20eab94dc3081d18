"""Every head keeps the same share: what stays, how its threshold moves, and budgets that samples draw."""

import math

import numpy as np
import pytest
import torch
from families import tiny

from namm_xmodal import Namm, pruned
from namm_xmodal.fitness import MixtureFactory, ObjectiveSettings, TemplateSpec
from namm_xmodal.fitness.language import answer_lesson
from namm_xmodal.fitness.pool import TrainingSample
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.gradient import DescentSettings
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.policy_gradient import policy_gradient
from namm_xmodal.gradient.rollouts import RolloutSettings
from namm_xmodal.gradient.run import descend, read_steps
from namm_xmodal.gradient.sample import sample_gradient
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.policies.namm import ThresholdSchedule, last_layer, linear_start, make_features
from namm_xmodal.policies.protocol import Candidates
from namm_xmodal.types import LayerShape

SHAPE = LayerShape(0, 1, 2, 2, 8)


def best(budget, floor=0, smallest=None):
    return Aim(ThresholdSchedule(), budget, floor, per_head=True, smallest_budget=smallest)


@pytest.fixture
def update():
    """Scores of 2 heads of 40 tokens, a quarter of them gone; the oldest 2 and the newest 3 protected."""
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(1, 2, 40, generator=generator, dtype=torch.float64)
    live = torch.rand(1, 2, 40, generator=generator) > 0.25
    live[..., -1] = True
    protected = live & ((torch.arange(40) < 2) | (torch.arange(40) >= 37))
    return scores, live, live & ~protected


def test_a_share_counts_protected_tokens_and_the_floor(update):
    scores, live, free = update
    candidates = Candidates(live, live & ~free, 100, SHAPE)
    assert (best(0.15).keep(scores, candidates).sum(-1) == 15).all()
    assert (best(0.151).keep(scores, candidates).sum(-1) == 16).all()  # rounded up, as max_tokens is
    assert (best(0.15, floor=20).keep(scores, candidates).sum(-1) == 20).all()
    assert torch.equal(best(0.01).keep(scores, candidates), live & ~free)


@pytest.mark.with_gradients
@pytest.mark.parametrize("slope", [1.0, 4.0])
def test_the_threshold_moves_so_that_the_soft_size_stays(update, slope):
    """By other means: bisection for the threshold at which as much is kept, softly, after the scores have moved."""
    scores, live, free = update
    direction = torch.randn(scores.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    margins = best(0.15).margins(scores + step * direction, live, free, 100, 0, slope=slope)
    threshold = (scores + step * direction - margins)[..., 0]  # (1, 2)
    for head in range(2):
        (found,) = torch.autograd.grad(threshold[0, head], step, retain_graph=True)
        mine, moves = scores[0, head][free[0, head]], direction[0, head][free[0, head]]
        protected = int((live & ~free)[0, head].sum())
        last = mine.sort(descending=True).values[15 - protected - 1]
        assert threshold[0, head].item() == pytest.approx(last.item(), abs=1e-12)
        size = torch.sigmoid(slope * (mine - last)).sum()
        ends = [_as_large(mine + h * moves, size, slope) for h in (1e-4, -1e-4)]
        assert found.item() == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-5)


def _as_large(scores, size, slope):
    low, high = -50.0, 50.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if torch.sigmoid(slope * (scores - middle)).sum() > size else (low, middle)
    return low


@pytest.mark.with_gradients
def test_raising_all_scores_of_a_head_changes_nothing(update):
    scores, live, free = update
    candidates = Candidates(live, live & ~free, 100, SHAPE)
    raised = scores + torch.tensor([3.0, -2.0], dtype=torch.float64)[:, None]
    assert torch.equal(best(0.15).keep(scores, candidates), best(0.15).keep(raised, candidates))
    shift = torch.zeros(2, 1, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(scores.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    margins = best(0.15).margins(scores + shift, live, free, 100, 0)
    (found,) = torch.autograd.grad((torch.sigmoid(margins) * weights)[free].sum(), shift)
    assert found.abs().max() < 1e-12


@pytest.mark.with_gradients
def test_a_head_that_can_keep_everything_learns_nothing(update):
    scores, live, free = update
    scores.requires_grad_()
    margins = best(0.9).margins(scores, live, free, 40, 0)
    (found,) = torch.autograd.grad(torch.sigmoid(margins)[free].sum(), scores)
    assert found.abs().max() == 0
    assert (torch.sigmoid(margins)[free] == 1).all()


@pytest.mark.with_gradients
def test_ties_are_broken_as_the_cache_breaks_them():
    """All scores the same: of a network of zeros, which knows nothing yet."""
    model, policy = tiny("llama", torch.float64), Namm.untrained("zeros", threshold=-math.inf, max_tokens=0.3)
    rng = np.random.default_rng(3)
    sample = TrainingSample(tuple(rng.integers(0, 97, 150).tolist()), tuple(rng.integers(0, 97, 9).tolist()))
    lesson = answer_lesson(model, sample, PruningSettings(32, 2, 3))
    found = sample_gradient(lesson, policy.parameters[0].numpy(), policy, best(0.3))
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]])
    with torch.no_grad(), pruned(model, policy, update_every=32, protect_first=2, protect_recent=3) as memory:
        logits = model(ids, past_key_values=memory.cache(), logits_to_keep=9).logits[0]
    expected = -logits.log_softmax(-1).gather(-1, torch.tensor(sample.answer)[:, None]).mean().item()
    assert found.loss == pytest.approx(expected, rel=1e-9)
    assert found.kept == pytest.approx(math.ceil(0.3 * 128) / 128)
    assert found.thresholds == {}
    assert not found.size_gradient.any()


def test_gradients_do_not_depend_on_the_scale_of_scores():
    """Nor do steps change it: the BAM's last layer, w and b, multiplies all of a score, and no decision depends on that."""
    model, features = tiny("llama", torch.float64), make_features(["key_novelty", "value_norm"])
    policy = Namm.untrained("random", sigma=0.3, seed=1, features=features)
    rng = np.random.default_rng(3)
    sample = TrainingSample(tuple(rng.integers(0, 97, 150).tolist()), tuple(rng.integers(0, 97, 9).tolist()))
    lesson = answer_lesson(model, sample, PruningSettings(32, 2, 3))
    vector, last = policy.parameters[0].double().numpy(), features.num_inputs + 1
    found = sample_gradient(lesson, vector, policy, best(0.3))
    assert np.abs(found.gradient[-last:]).max() > 1e-3
    assert abs(found.gradient[-last:] @ vector[-last:]) < 1e-5 * np.linalg.norm(found.gradient)
    vector[-last:] *= 5.0
    larger = sample_gradient(lesson, vector, policy, best(0.3))
    assert larger.loss == pytest.approx(found.loss, rel=1e-9)
    assert np.allclose(larger.gradient[:-last], found.gradient[:-last], rtol=1e-3, atol=1e-5)


FACTORY = MixtureFactory(
    ObjectiveSettings(("tiny-random",), {"keys": KeyRetrieval(length=(200,))}, 1, 4, PruningSettings(32, 2, 4)),
    TemplateSpec((), (), "a test", features=["key_novelty", "value_norm"]),
)


def test_a_policy_gradient_keeps_shares_too():
    objective = FACTORY.build()
    (shard,) = objective.shards(0)
    policy = Namm.untrained("random", sigma=0.3, features=make_features(["key_novelty", "value_norm"]))
    lesson, vector = objective.lesson(shard), policy.parameters[0].double().numpy()

    def run(drawing, rows):
        return objective.run_rows(drawing, rows, shard)

    cold = policy_gradient(lesson, run, vector, policy, best(0.3), RolloutSettings(2, 1e-9), 0)
    through = sample_gradient(lesson, vector, policy, best(0.3))
    assert cold.loss == pytest.approx(through.loss, rel=1e-3)
    assert cold.kept == pytest.approx(through.kept, abs=1 / 192)  # a coin is tossed for the last token of each head
    warm = policy_gradient(lesson, run, vector, policy, best(0.3), RolloutSettings(4, 0.2), 0)
    assert warm.thresholds == {}
    assert not warm.size_gradient.any()
    assert np.abs(warm.gradient).max() > 0


@pytest.mark.parametrize("seen", [40, 100, 200])
def test_a_share_of_the_whole_sample_is_the_same_number_at_every_update(update, seen):
    scores, live, free = update
    candidates = Candidates(live, live & ~free, seen, SHAPE)
    aim = Aim(ThresholdSchedule(), 0.1, per_head=True, whole=True).of_sample(0, 200)
    assert (aim.keep(scores, candidates).sum(-1) == 20).all()


def test_a_run_moves_what_it_trains(tmp_path):
    moving = last_layer(FACTORY.build().template)
    start = linear_start(FACTORY.build().template, {"key_novelty": 0.4, "value_norm": 0.4}, 0.01, 0)
    options = dict(steps=2, anneal=1, first_budget=0.3, budget=0.3, floor=0, selection="head", trained="last_layer")
    found = descend(FACTORY, DescentSettings(**options), tmp_path, "abc", start=start).parameters
    assert np.array_equal(found[~moving], start[~moving])
    assert not np.isclose(found[moving], start[moving], atol=1e-6).any()


# ---------------------------------------------------------------------- budgets of samples
def test_budgets_are_spread_evenly_by_octave():
    drawn = np.array([best(0.4, smallest=0.1).of_sample(seed, 90).budget for seed in range(2000)])
    assert 0.1 <= drawn.min() < 0.102
    assert 0.39 < drawn.max() <= 0.4
    assert (drawn < 0.2).mean() == pytest.approx(0.5, abs=0.04)
    assert best(0.4, smallest=0.1).of_sample(7, 90) == best(0.4, smallest=0.1).of_sample(7, 90)
    assert best(0.4).of_sample(7, 90).budget == 0.4


def test_drawn_budgets_are_those_of_the_run_and_step(tmp_path):
    options = dict(steps=5, anneal=2, first_budget=0.6, budget=0.4, floor=0, selection="head")
    settings = DescentSettings(**options, smallest_budget=0.1)
    whole = descend(FACTORY, settings, tmp_path / "whole", "abc")

    class Killed(Exception):
        pass

    def kill(record):
        if record.step == 3:
            raise Killed

    with pytest.raises(Killed):
        descend(FACTORY, settings, tmp_path / "cut", "abc", on_progress=kill)
    again = descend(FACTORY, settings, tmp_path / "cut", "abc", workers=2)
    assert np.array_equal(again.parameters, whole.parameters)
    steps = read_steps(tmp_path / "whole")
    assert read_steps(tmp_path / "cut") == steps
    assert whole.thresholds == {"": {}}
    assert [step.kept for step in steps[:2]] == pytest.approx([0.6, 0.5], abs=0.01)  # none is drawn on the way
    assert len({step.kept for step in steps[2:]}) == 3
    assert all(0.1 <= step.kept <= 0.41 for step in steps[2:])
    fixed = descend(FACTORY, DescentSettings(**options), tmp_path / "fixed", "abc")
    assert [step.kept for step in read_steps(tmp_path / "fixed")][2:] == pytest.approx([0.4] * 3, abs=0.01)
    assert not np.array_equal(fixed.parameters, whole.parameters)
