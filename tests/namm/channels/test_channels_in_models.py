"""Channels inside real forwards: the engine in any chunks, gradients, populations, statistics, calibration, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from families import in_chunks, padded_batch, tiny

from namm_xmodal import Namm, pruned
from namm_xmodal.errors import UnsupportedModelError
from namm_xmodal.fitness.language import answer_lesson
from namm_xmodal.fitness.pool import TrainingSample
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.sample import sample_gradient
from namm_xmodal.language.tiny_random import build_tiny_random
from namm_xmodal.memory.calibration import calibrate
from namm_xmodal.memory.statistics import estimate_by_layer, estimate_statistics
from namm_xmodal.policies.namm import NammPopulation, ThresholdSchedule, make_features
from namm_xmodal.policies.namm.channels import CHANNELS

CONTEXT = ["key_novelty", "unrotated_key_novelty", "nearest_key", "value_norm"]
LISTS = {
    "everything": list(CHANNELS),
    "cache only": [*CONTEXT, "relative_age"],
    "last rows": [{"channel": "recent_attention", "rows": 8}, "key_novelty"],
}


def made(model, given, seed=0, sigma=0.2):
    """A random NAMM with statistics of the model."""
    features = make_features(given)
    statistics = estimate_statistics(
        model, [padded_batch(64, rows=1)], features, update_every=32, source="a test", adapter=None
    )
    return Namm.untrained("random", sigma=sigma, seed=seed, features=features, statistics=statistics)


@pytest.mark.parametrize("name", LISTS)
def test_chunks_padding_and_batch_mates_do_not_change_what_channels_keep(name):
    model, batch = tiny("llama", torch.float64), padded_batch(96, rows=3)
    policy = made(model, LISTS[name])
    kept = {}
    for chunk in (96, 33, 7):
        with pruned(model, policy, update_every=32, protect_first=2) as memory:
            logits = in_chunks(model, batch, memory.cache(), chunk)
            kept[chunk] = (memory.report().live, logits[:, -1])
    assert 0.05 < memory.report().kept_fraction < 0.95
    for chunk in (33, 7):
        assert kept[chunk][0] == kept[96][0]
        assert (kept[chunk][1] - kept[96][1]).abs().max() < 1e-9
    for row in range(3):
        start = int((batch["attention_mask"][row] == 0).sum())
        with pruned(model, policy, update_every=32, protect_first=2) as memory:
            alone = model(batch["input_ids"][row : row + 1, start:], past_key_values=memory.cache()).logits
            assert [layer[row] for layer in kept[96][0]] == [layer[0] for layer in memory.report().live]
        assert (alone[0, -1] - kept[96][1][row]).abs().max() < 1e-9


def test_beams_carry_what_channels_remember():
    model = tiny("llama")
    policy, inputs = made(model, LISTS["everything"]), padded_batch(48, rows=2)
    settings = {"max_new_tokens": 24, "num_beams": 3, "do_sample": False}
    with pruned(model, policy, update_every=16) as memory:
        first = memory.generate(**inputs, **settings)
        assert memory.report().kept_fraction < 0.95
        assert torch.equal(first, memory.generate(**inputs, **settings))


@pytest.mark.parametrize("name", LISTS)
def test_members_of_a_population_with_channels_are_the_members_alone(name):
    model, ids = tiny("llama", torch.float64), padded_batch(100, rows=1)["input_ids"]
    members = [made(model, LISTS[name], seed) for seed in range(3)]
    population = NammPopulation(torch.cat([member.parameters for member in members]), members[0])
    with pruned(model, population, update_every=32) as memory:
        cache = memory.cache()
        model(ids[:, :16], past_key_values=cache)
        cache.batch_repeat_interleave(3)
        logits = model(ids[:, 16:].repeat(3, 1), past_key_values=cache).logits
        live = memory.report().live
    for row, member in enumerate(members):
        with pruned(model, member, update_every=32) as memory:
            expected = model(ids, past_key_values=memory.cache()).logits
            assert [layer[row] for layer in live] == [layer[0] for layer in memory.report().live]
        assert (logits[row] - expected[0, 16:]).abs().max() < 1e-9


@pytest.mark.with_gradients
@pytest.mark.parametrize("name", LISTS)
def test_gradients_of_channels_are_of_the_loss_of_the_pruned_engine(name):
    model = build_tiny_random()[0].double().eval()
    with torch.no_grad():
        policy = made(model, LISTS[name])
    rng = np.random.default_rng(3)
    sample = TrainingSample(tuple(rng.integers(0, 256, 150).tolist()), tuple(rng.integers(0, 256, 9).tolist()))
    schedule = ThresholdSchedule((32,), (0.05,))
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]])
    with (
        torch.no_grad(),
        pruned(model, replace(policy, schedule=schedule), update_every=32, protect_first=2, protect_recent=3) as memory,
    ):
        logits = model(ids, past_key_values=memory.cache(), logits_to_keep=len(sample.answer)).logits[0]
    expected = -logits.log_softmax(-1).gather(-1, torch.tensor(sample.answer)[:, None]).mean().item()
    lesson = answer_lesson(model, sample, PruningSettings(32, 2, 3))
    found = sample_gradient(lesson, policy.parameters[0].numpy(), policy, Aim(schedule, 0.3))
    assert found.loss == pytest.approx(expected, rel=1e-9)
    assert 0.02 < found.kept < 0.98
    assert np.isfinite(found.gradient).all()
    assert (found.gradient != 0).mean() > 0.9


def test_statistics_are_estimated_of_frozen_channels_only():
    model, batches = tiny("llama"), [padded_batch(64, rows=2, seed=seed) for seed in range(2)]
    both = make_features(["mean_attention", "key_novelty", {"channel": "value_norm", "standardise": "frozen"}])
    found = estimate_statistics(model, batches, both, update_every=32, source="a test")
    first, second = (
        estimate_statistics(model, batches, make_features([each]), update_every=32, source="")
        for each in ("mean_attention", {"channel": "value_norm", "standardise": "frozen"})
    )
    assert found.mean.tolist() == pytest.approx([*first.mean.tolist(), *second.mean.tolist()], rel=1e-6)
    assert found.std.tolist() == pytest.approx([*first.std.tolist(), *second.std.tolist()], rel=1e-6)


def test_without_frozen_channels_nothing_is_read():
    features, model = make_features(CONTEXT), tiny("llama")
    found = estimate_statistics(
        model, iter(lambda: pytest.fail("read a text"), None), features, update_every=32, source=""
    )
    assert found.mean.shape == (0,) and "in context" in found.source
    layers = estimate_by_layer(
        model, iter(lambda: pytest.fail("read a text"), None), features, update_every=32, source=""
    )
    assert len(layers) == 3


def test_relative_age_has_the_statistics_of_any_model():
    features = make_features("relative_age")
    for family in ("llama", "gpt2"):
        found = estimate_statistics(tiny(family), [padded_batch(128, rows=1)], features, update_every=128, source="")
        assert found.mean.item() == pytest.approx(0.5, abs=0.01)
        assert found.std.item() == pytest.approx(12**-0.5, abs=0.01)


@pytest.mark.parametrize("name", LISTS)
def test_a_policy_with_channels_is_calibrated(name):
    model = tiny("llama")
    policy, inputs = made(model, LISTS[name]), [padded_batch(128, rows=1, seed=seed) for seed in range(3)]
    plain = [{"input_ids": each["input_ids"]} for each in inputs]
    found = calibrate(model, plain, policy, budget=0.4, update_every=32)
    assert all(share == pytest.approx(0.4, abs=0.01) for share in found.kept.values())


def test_models_without_rotary_embedding_are_refused_before_they_are_touched():
    model, policy = tiny("gpt2"), Namm.untrained("random", features=make_features(["unrotated_key_novelty"]))
    before = model.config._attn_implementation
    with pytest.raises(UnsupportedModelError, match=r"GPT2LMHeadModel has no rotary embedding.*key_novelty") as caught:
        with pruned(model, policy, update_every=32):
            pass
    assert "\n" not in str(caught.value)
    assert model.config._attn_implementation == before
    sample = TrainingSample(tuple(range(40)), (1, 2))
    lesson = answer_lesson(model, sample, PruningSettings(32, 2, 3))
    with pytest.raises(UnsupportedModelError, match="no rotary embedding"):
        sample_gradient(lesson, policy.parameters[0].numpy(), policy, Aim(ThresholdSchedule(), 0.5))
    with pruned(model, Namm.untrained("random", features=make_features(CONTEXT[:1])), update_every=32) as memory:
        in_chunks(model, padded_batch(64, rows=1), memory.cache(), 64)
