"""A recorder notes what a NAMM would have seen, and attention as the model itself computes it."""

import pytest
import torch
from families import tiny

from namm_xmodal import Namm, pruned
from namm_xmodal.policies.namm import make_features
from namm_xmodal.policies.namm.statistics import FeatureStatistics
from namm_xmodal.traces.recorder import TraceRecorder

EVERY, LENGTH = 16, 70
FEATURES = make_features(["spectrogram", "key_novelty"])
STATISTICS = FeatureStatistics(torch.full((17,), 0.01), torch.full((17,), 0.1))


def record(model, ids, updates, count_from=0, settings=None):
    recorder = TraceRecorder(FEATURES, STATISTICS, updates, count_from)
    with torch.no_grad(), pruned(model, recorder, update_every=EVERY, **(settings or {})) as memory:
        memory.adapter.forward(model, {"input_ids": ids}, memory.cache())
    return recorder


@pytest.fixture(params=["llama", "gpt2", "gemma3"])
def model(request):
    return tiny(request.param)


@pytest.fixture
def ids():
    return torch.randint(3, 90, (1, LENGTH), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("count_from", [0, 50])
def test_later_attention_is_the_models_own(model, ids, count_from):
    recorder = record(model, ids, [32, 48], count_from)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        rows = model(ids, output_attentions=True).attentions  # L of (1, Hq, T, T)
    layers = [1] if model.config.model_type == "gemma3_text" else range(len(rows))  # the others have windows of 24
    found = [(each.shape.layer, each.seen) for each in recorder.snapshots]
    assert found == [(layer, seen) for layer in layers for seen in (32, 48)]
    for each in recorder.snapshots:
        own = rows[each.shape.layer]
        heads = each.future.shape[1]
        shared = own.view(1, heads, -1, LENGTH, LENGTH).mean(2)  # (1, Hq, T, T) -> (1, H, T, T)
        wanted = shared[:, :, max(each.seen, count_from) :, : each.seen].amax(2)
        torch.testing.assert_close(each.future, wanted, atol=1e-5, rtol=1e-4)


def test_features_are_those_that_a_policy_scores_by(ids):
    model, seen = tiny("llama"), {}

    class Watched(Namm):
        def score_constants(self, constants, live, parameters):
            seen.setdefault(live.shape[-1], []).append(constants)
            return super().score_constants(constants, live, parameters)

    policy = Watched(Namm.untrained("zeros", features=FEATURES).parameters, STATISTICS, FEATURES)  # keeps everything
    with torch.no_grad(), pruned(model, policy, update_every=EVERY) as memory:
        memory.adapter.forward(model, {"input_ids": ids}, memory.cache())
    recorder = record(model, ids, [48])
    assert len(recorder.snapshots) == len(seen[48]) == 3
    for each, wanted in zip(recorder.snapshots, seen[48], strict=True):
        torch.testing.assert_close(each.constants, wanted)


def test_the_model_answers_as_if_nobody_looked(ids):
    model = tiny("llama")
    with torch.no_grad():
        alone = model(ids).logits
    recorder = TraceRecorder(FEATURES, STATISTICS, [32])
    with torch.no_grad(), pruned(model, recorder, update_every=EVERY) as memory:
        watched = model(ids, past_key_values=memory.cache()).logits
    torch.testing.assert_close(watched, alone, atol=1e-4, rtol=1e-4)


def test_a_second_text_starts_anew(ids):
    model = tiny("llama")
    recorder = TraceRecorder(FEATURES, STATISTICS, [32])
    found = []
    for text in (ids, ids):
        recorder.clear()
        with torch.no_grad(), pruned(model, recorder, update_every=EVERY) as memory:
            memory.adapter.forward(model, {"input_ids": text}, memory.cache())
        found.append(recorder.snapshots)
    assert len(found[0]) == len(found[1]) == 3
    for first, second in zip(*found, strict=True):
        assert torch.equal(first.future, second.future)
