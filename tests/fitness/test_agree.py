"""Agreement with the full cache: nothing forgotten is distance 0, members are members alone, gradients shorten it."""

from functools import partial

import numpy as np
import pytest
import torch

from namm_xmodal import Namm, pruned
from namm_xmodal.config.agree import KINDS
from namm_xmodal.errors import DataError, UnsupportedModelError
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.fitness import AgreeSettings, MixtureFactory, ObjectiveSettings, TemplateSpec
from namm_xmodal.fitness.outputs import NextTokens, outputs_of
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.fitness.statistics import statistics_of
from namm_xmodal.gradient import Descent, DescentSettings
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.batch import Point, gradients
from namm_xmodal.gradient.policy_gradient import policy_gradient
from namm_xmodal.gradient.rollouts import RolloutSettings
from namm_xmodal.gradient.sample import sample_gradient
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.policies.namm import ThresholdSchedule, make_features

GIVEN = {
    "language": {"model": "tiny-random", "count": 2, "tokens": 96, "update_every": 64},
    "video": {"model": "llava-small", "count": 1, "options": {"frames": 8}, "frames": 8, "update_every": 16},
    "rl@tmaze": {
        "model": "tmaze",
        "model_seeds": [0],
        "environment_options": {"length": 20},
        "count": 2,
        "tokens": 90,
        "update_every": 16,
    },
}
SPEC = TemplateSpec((0.0,), (1.0,), "a test", features=["key_novelty", "relative_age"])


def sources(*names):
    return {name: KINDS[name.partition("@")[0]](**GIVEN[name]) for name in names or GIVEN}


def mixture(*names, tasks=None, **settings):
    none = ObjectiveSettings(("tiny-random",), tasks or {}, 1, 2, PruningSettings(64), dtype="float32")
    return MixtureFactory(none, SPEC, AgreeSettings(sources(*names), **settings)).build()


@pytest.fixture(scope="module")
def run():
    return mixture()


def members(run, count=3, sigma=0.3):
    return np.random.default_rng(0).normal(0, sigma, (count, run.num_parameters))


def test_one_shard_of_every_task_and_source():
    run = mixture(tasks={"keys": KeyRetrieval(length=(200,))})
    labels = ["tiny-random/keys", "tiny-random/agree.language", "llava-small/agree.video", "tmaze/agree.rl@tmaze"]
    assert [shard.label for shard in run.shards(0)] == labels
    assert run.shards(3) == run.shards(3)
    seen = {shard.samples for generation in range(2) for shard in run.shards(generation) if "rl" in shard.task}
    assert seen == {(0,), (1,)}


def test_a_source_says_how_many_inputs_it_wants():
    few = sources("language", "video")
    few["video"] = few["video"].model_copy(update={"count": 3, "samples": 2})
    none = ObjectiveSettings(("tiny-random",), {}, 1, 2, PruningSettings(64), dtype="float32")
    run = MixtureFactory(none, SPEC, AgreeSettings(few)).build()
    tasks = [shard.task for shard in run.shards(0)]
    assert tasks == ["agree.language", "agree.video", "agree.video"]
    assert len({shard.samples for shard in run.shards(0)[1:]}) == 2


def test_whoever_forgets_nothing_agrees(run):
    zeros = np.zeros((2, run.num_parameters))
    for shard in run.shards(0):
        result = run.evaluate(zeros, shard).check(2, shard)
        assert result.scores == pytest.approx(1.0, abs=1e-4)
        assert (result.kept == 1.0).all()
        assert result.base.tolist() == [1.0]
        keep_all = Aim(ThresholdSchedule((1,), (-1e9,)), 0.5)
        found = sample_gradient(run.lesson(shard), zeros[0], run.template, keep_all)
        assert found.loss == pytest.approx(0.0, abs=1e-5)
        assert found.kept == 1.0
        assert found.source == shard.task


def test_scores_are_those_of_each_member_alone(run):
    """By other means: one member, one forward, KL as probabilities; and the straight-through loss is the same distance."""
    vectors = members(run)
    for shard in run.shards(0):
        result = run.evaluate(vectors, shard).check(3, shard)
        each = run.agree.compared(shard.task, shard.samples[0])
        every = run.agree.pruning(shard.task).update_every
        for member in range(3):
            policy = Namm(
                torch.from_numpy(vectors[member : member + 1]).float(), run.template.statistics, run.template.features
            )
            with torch.no_grad(), pruned(each.given.model, policy, update_every=every) as memory:
                out = memory.adapter.forward(each.given.model, each.given.inputs, memory.cache())[0]
                full = memory.adapter.forward(each.given.model, each.given.inputs, _everything(memory))[0]
            distance = _by_hand(each, full.double(), out.double())
            assert result.scores[member, 0] == pytest.approx(np.exp(-distance), rel=2e-3)
            alone = sample_gradient(run.lesson(shard), vectors[member], run.template, Aim(ThresholdSchedule(), 0.5))
            assert alone.loss == pytest.approx(distance, rel=2e-3, abs=1e-6)
        assert result.scores.min() < 1 - 1e-6


def test_a_policy_gradient_without_chance_judges_the_same_and_with_it_learns(run):
    vector, aim = members(run, 1)[0], Aim(ThresholdSchedule(), 0.5)
    for shard in run.shards(0):
        lesson, scored = run.lesson(shard), partial(run.run_rows, shard=shard)
        cold = policy_gradient(lesson, scored, vector, run.template, aim, RolloutSettings(2, 1e-9), 0)
        alone = sample_gradient(lesson, vector, run.template, aim)
        assert cold.loss == pytest.approx(alone.loss, rel=2e-3, abs=1e-6)
        assert cold.kept == pytest.approx(alone.kept, abs=1e-9)
        assert cold.thresholds == pytest.approx(alone.thresholds, abs=1e-4)
        warm = policy_gradient(lesson, scored, vector, run.template, aim, RolloutSettings(3, 0.3), 0)
        assert warm.source == shard.task
        assert np.abs(warm.gradient).max() > 0


def _everything(memory):
    from transformers import DynamicCache

    memory.model.set_attn_implementation("sdpa")
    return DynamicCache(config=memory.adapter.decoder(memory.model).config)


def _by_hand(each, full, out):
    if "language" in type(each.adapter).__name__.lower() or "llava" in each.adapter.name:
        first = max(each.given.count_from, 0)
        p, q = full.softmax(-1)[first:], out.softmax(-1)[first:]
        kl = (p * (p / q).log()).sum(-1)
        return float(kl.mean() if not each.given.last else 0.5 * kl.mean() + 0.5 * kl[-1])
    head = each.given.model.predict_action.double()
    states = range(each.places[0], each.given.length, 3)
    wanted, found = head(full)[states], head(out)[states]
    head.float()
    return float((wanted - found).square().sum(-1).mean() / (2 * wanted.var(0, correction=0).mean()))


def test_rows_and_blocks_of_outputs_do_not_matter(run, monkeypatch):
    vectors = members(run, 5)
    shard = run.shards(0)[0]
    whole = run.evaluate(vectors, shard)
    monkeypatch.setattr(NextTokens, "at_once", lambda self, model, rows: 7)
    blocks = mixture("language", rows=2).evaluate(vectors, shard)
    assert np.allclose(whole.scores, blocks.scores, rtol=1e-4)
    assert np.array_equal(whole.kept, blocks.kept)


def test_full_outputs_are_computed_once(run):
    shard = run.shards(0)[0]
    each = run.agree.compared(shard.task, shard.samples[0])
    calls = []
    hook = each.given.model.model.register_forward_hook(lambda *given: calls.append(1))
    again = each.full()
    hook.remove()
    assert calls == []
    assert again.shape == (1, len(each.places), each.given.model.config.vocab_size)


def test_steps_along_the_gradient_shorten_the_distance():
    run = mixture("rl@tmaze")
    settings = DescentSettings(steps=20, rate=0.01, budget=0.3, first_budget=0.3, floor=0, sigma=0.3, seed=3)
    descent = Descent(run.num_parameters, settings)
    factory = MixtureFactory(ObjectiveSettings((), {}, 1, 2, PruningSettings(64)), SPEC, run.agree.settings)
    shards = [Shard("agree.rl@tmaze", (i,), "tmaze") for i in range(2)]
    losses = []
    with gradients(factory, 1) as take:
        for _ in range(20):
            aim = Aim(descent.schedule("agree.rl@tmaze"), 0.3)
            results = take(Point(descent.parameters, {"agree.rl@tmaze": aim}), shards)
            losses.append(np.mean([result.loss for result in results]))
            descent.take(results)
    assert np.mean(losses[-4:]) < 0.05 * losses[1]  # the clue is kept; the first step has no thresholds yet
    assert set(descent.thresholds) == {"", "agree.rl@tmaze"}
    assert sorted(descent.thresholds["agree.rl@tmaze"]) == [16, 32, 48]
    other = Descent(run.num_parameters, settings)
    other.restore(descent.state())
    assert other.thresholds == descent.thresholds


def test_statistics_are_of_the_sources_too(run):
    found = statistics_of(run, 1, make_features("spectrogram"))
    assert "3 inputs without labels of language, video, rl@tmaze" in found.source
    assert (found.std > 0).all()


def test_what_cannot_agree_is_one_line():
    long = {"language": KINDS["language"](**{**GIVEN["language"], "update_every": 512})}
    run = MixtureFactory(ObjectiveSettings((), {}, 1, 2, PruningSettings(64)), SPEC, AgreeSettings(long)).build()
    with pytest.raises(DataError, match=r"agree.language: 0000: \d+ tokens: no update \(update_every=512\)"):
        run.lesson(Shard("agree.language", (0,), "tiny-random"))
    with pytest.raises(UnsupportedModelError, match="Linear outputs neither next tokens nor actions"):
        outputs_of(torch.nn.Linear(1, 1), None)
    with pytest.raises(DataError, match="not a task and model, or a source, of this run"):
        mixture("language").lesson(Shard("agree.video", (0,), "llava-small"))
