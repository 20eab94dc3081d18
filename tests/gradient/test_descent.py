"""Descent: steps across the size, and a run that goes on where it was killed, to the last bit."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from namm_xmodal.errors import ConfigError, EvolutionError
from namm_xmodal.fitness import MixtureFactory, ObjectiveSettings, TemplateSpec
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.gradient import Descent, DescentSettings, SampleGradient
from namm_xmodal.gradient.run import descend, read_steps
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.language.next_token import NextToken
from namm_xmodal.policies.namm import Namm, ThresholdSchedule, last_layer, linear_start, make_features
from namm_xmodal.policies.namm.mlp import MlpScorer

FACTORY = MixtureFactory(
    ObjectiveSettings(
        models=("tiny-random",),
        tasks={"keys": KeyRetrieval(length=(200,)), "texts": NextToken(length=(160,))},
        samples=1,
        pool=4,
        pruning=PruningSettings(32, 2, 4),
    ),
    TemplateSpec((0.01,) * 17, (0.02,) * 17, "a test"),
)
SETTINGS = DescentSettings(steps=4, anneal=2, budget=0.3)


def result(rng, scale=1.0, thresholds=None):
    return SampleGradient(1.0, 0.5, thresholds or {128: 0.2}, scale * rng.normal(size=20), rng.normal(size=20))


def test_a_step_leaves_the_size_as_it_is_to_first_order():
    rng = np.random.default_rng(0)
    descent = Descent(20, DescentSettings())
    for _ in range(3):
        batch, before = [result(rng), result(rng, 50.0)], descent.parameters.copy()
        descent.take(batch)
        moved = descent.parameters - before
        assert np.abs(moved).max() > 1e-4
        assert abs(moved @ np.mean([r.size_gradient for r in batch], axis=0)) < 1e-12


def test_each_threshold_follows_what_the_budget_wants():
    rng = np.random.default_rng(0)
    descent = Descent(20, DescentSettings(), np.zeros(20), ThresholdSchedule((128,), (1.0,)))
    descent.take([result(rng, thresholds={128: 0.4, 256: 0.8}), result(rng, thresholds={128: 0.6})])
    assert descent.thresholds[""] == pytest.approx({128: 1.0 - 0.5 * 0.5, 256: 0.8})  # nothing to remember yet at 256
    descent.take([result(rng, thresholds={256: 1.8})])
    assert descent.thresholds[""] == pytest.approx({128: 0.75, 256: 0.8 + 0.5})
    assert descent.schedule().at(256) == pytest.approx(1.3)


def test_a_state_is_taken_up_whole():
    rng = np.random.default_rng(0)
    descent, other = Descent(20, DescentSettings()), Descent(20, DescentSettings())
    descent.take([result(rng, thresholds={128: 0.4, 256: 0.8})])
    other.restore(descent.state())
    assert (other.thresholds, other.step) == (descent.thresholds, 1)
    assert np.array_equal(other.parameters, descent.parameters)
    earlier = {name: each for name, each in descent.state().items() if name != "sources"}  # as 0.1 wrote it
    other.restore(earlier)
    assert other.thresholds == descent.thresholds


def test_the_last_steps_are_averaged_also_after_a_restart():
    rng = np.random.default_rng(0)
    descent = Descent(20, DescentSettings(steps=4, average=0.5))
    passed = []
    for _ in range(4):
        descent.take([result(rng)])
        passed.append(descent.parameters)
        if len(passed) < 3:
            assert np.array_equal(descent.result, descent.parameters)
        state, descent = descent.state(), Descent(20, descent.settings)
        descent.restore(state)
    assert np.allclose(descent.result, (passed[2] + passed[3]) / 2, atol=1e-15)
    assert np.array_equal(descent.parameters, passed[3])


def test_steps_are_scaled_by_each_parameter_or_by_the_whole():
    gradient = np.array([3.0, 0.4, 0.0, -0.1])
    moved = {}
    for scale in ("parameter", "vector"):
        descent = Descent(4, DescentSettings(rate=0.1, scale=scale), np.zeros(4))
        descent.take([SampleGradient(1.0, 0.5, {}, gradient / 10, np.zeros(4))])
        moved[scale] = -descent.parameters / descent.settings.rate_at(0)
    assert np.allclose(moved["parameter"], np.sign(gradient), atol=1e-5)
    assert np.allclose(moved["vector"], gradient / np.sqrt(np.mean(gradient**2)), atol=1e-5)


def test_one_long_gradient_does_not_drown_the_others():
    rng = np.random.default_rng(0)
    usual, lost = result(rng, 0.1), result(rng, 1000.0)
    directions = []
    for scale in (1.0, 1000.0):
        descent = Descent(20, DescentSettings())
        before = descent.parameters.copy()
        long = SampleGradient(1.0, 0.5, {}, lost.gradient * scale, lost.size_gradient)
        descent.take([usual, long])
        directions.append(descent.parameters - before)
    assert np.allclose(*directions)


def test_samples_weigh_what_their_source_says():
    rng = np.random.default_rng(0)
    ours, theirs = result(rng), replace(result(rng), source="agree.video", thresholds={})
    both = [ours, theirs, theirs]
    free = [replace(each, size_gradient=np.zeros(20)) for each in both]
    cut = [each.gradient / np.linalg.norm(each.gradient) for each in free]
    length = Descent(20, DescentSettings()).take(free, weights={"agree.video": 0.25})
    assert length == pytest.approx(np.linalg.norm(cut[0] + 0.5 * cut[1]) / 1.5)
    plain, weighed = Descent(20, DescentSettings()), Descent(20, DescentSettings())
    plain.take(both)
    weighed.take(both, weights={"agree.video": 1.0})
    assert np.array_equal(plain.parameters, weighed.parameters)  # runs of before go on to the same bits


def test_only_the_last_layer_moves_if_asked():
    features = make_features(["key_novelty", "value_norm"])
    template = Namm.untrained("zeros", features=features)
    moving = last_layer(template)
    assert moving.sum() == 2
    start = linear_start(template, {"key_novelty": 0.4, "value_norm": -0.3}, 0.0, 0)
    assert set(start[moving]) == {0.4, -0.3}  # just what a start of weights sets
    rng, count = np.random.default_rng(0), len(start)
    given = SampleGradient(1.0, 0.5, {128: 0.2}, rng.normal(size=count), rng.normal(size=count))
    for scale in ("parameter", "vector"):
        descent = Descent(count, DescentSettings(scale=scale, trained="last_layer", rate=0.01), start, moving=moving)
        descent.take([given])
        change = descent.parameters - start
        assert not change[~moving].any()
        assert np.abs(change[moving]).max() == pytest.approx(0.002, rel=0.5)  # a fifth of the rate in the first step
    with pytest.raises(ConfigError, match="set scorer: bam"):
        last_layer(Namm.untrained("zeros", features=features, scorer=MlpScorer()))


def test_a_gradient_that_is_not_finite_is_said():
    descent = Descent(20, DescentSettings())
    with pytest.raises(EvolutionError, match="step 0: a gradient is not finite"):
        descent.take([SampleGradient(1.0, 0.5, {}, np.full(20, np.nan), np.ones(20))])


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("budget", 1.5), ("first_budget", 0.0), ("rate", -1.0), ("floor", -1), ("average", 2.0)],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name}={value}: expected"):
        DescentSettings(**{name: value})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, descend(FACTORY, SETTINGS, folder, "abc").parameters


def test_killed_anywhere_it_ends_with_the_same_bits(whole, tmp_path):
    class Killed(Exception):
        pass

    def kill(record):
        if record.step == 2:
            raise Killed

    with pytest.raises(Killed):
        descend(FACTORY, SETTINGS, tmp_path, "abc", on_progress=kill)
    journal = tmp_path / "gradient.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"kind": "step", "step": 3, "bud')  # and while writing a line
    again = descend(FACTORY, SETTINGS, tmp_path, "abc")
    assert np.array_equal(again.parameters, whole[1])
    assert read_steps(tmp_path) == read_steps(whole[0])
    assert [record.step for record in read_steps(tmp_path)] == [1, 2, 3, 4]


def test_two_workers_one_of_them_killed_give_the_same_bits(whole, tmp_path):
    killed = []

    def on_progress(record):
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    there = descend(FACTORY, SETTINGS, tmp_path, "abc", workers=2, on_progress=on_progress)
    assert killed
    assert np.array_equal(there.parameters, whole[1])


def test_a_finished_run_does_nothing_and_a_foreign_one_is_refused(whole):
    folder, parameters = whole
    before = (folder / "gradient.jsonl").read_bytes()
    assert np.array_equal(descend(FACTORY, SETTINGS, folder, "abc").parameters, parameters)
    assert (folder / "gradient.jsonl").read_bytes() == before
    with pytest.raises(EvolutionError, match=r"other settings \(abc, not xyz\)"):
        descend(FACTORY, SETTINGS, folder, "xyz")
    assert json.loads(before.splitlines()[0])["config"] == "abc"
