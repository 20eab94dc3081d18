"""Heads that keep very different numbers of tokens are stored apart: same results, few dead slots."""

import copy

import pytest
import torch
from families import FAMILIES, in_chunks, padded_batch, tiny
from ragged import RaggedByAttention, RaggedNoise
from tiny_classes import tiny_class

from namm_xmodal import AdaKV, ExpectedAttention, KeyDiff, Namm, SnapKV, pruned
from namm_xmodal.cache import lane as lanes
from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.policies.by_head import ByHead
from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.policies.namm import FeatureStatistics

# Received attention is about 1 / tokens: statistics of that size make random scores of both signs.
STATISTICS = FeatureStatistics(torch.full((17,), 0.02), torch.full((17,), 0.03))
POLICIES = {
    "noise": RaggedNoise(),
    "attention": RaggedByAttention(),
    "adakv": AdaKV(base=SnapKV(window=4), budget=0.3),
    "expected": AdaKV(base=ExpectedAttention(n_queries=8, n_sink=1), budget=0.3),
    "namm": Namm.untrained("random", sigma=0.3, seed=1, statistics=STATISTICS),
}


@pytest.fixture
def apart(monkeypatch):
    """Any two heads of different lengths are stored apart."""
    monkeypatch.setattr(lanes, "_DEAD_SLOTS", 0)
    monkeypatch.setattr(lanes, "_DEAD_SHARE", 0)
    monkeypatch.setattr(lanes, "_DEAD_SHARE_OF_SEEN", 0)


def parted(cache) -> bool:
    return any(len(layer.lanes) > 1 for layer in cache.layers)


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("family", FAMILIES)
def test_oracle_of_every_family(family):
    model, batch = tiny(family, torch.float64), padded_batch()
    with pruned(model, RaggedByAttention(), update_every=16) as memory:
        cache = recording(memory.cache())
        logits = in_chunks(model, batch, cache, 100)
    assert parted(cache)
    with masked_attention(model, visibility_of(cache)):
        expected = model(**batch, use_cache=False).logits
    real = batch["attention_mask"].bool()
    assert (logits - expected)[real].abs().max() < 1e-12 * expected.abs().max()


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("name", ["GptOssForCausalLM", "Gemma2ForCausalLM"])
@pytest.mark.parametrize("size", [7, 100])
def test_sinks_and_soft_caps_go_with_their_heads(name, size):
    model = tiny_class(name)  # in float32, the widest that grouped experts multiply
    for parameter in (each for key, each in model.named_parameters() if key.endswith("sinks")):
        parameter.data = torch.linspace(-2, 2, len(parameter))  # another one for every head
    ids = torch.arange(100)[None] * 7 % 50 + 3
    with torch.no_grad(), pruned(model, RaggedByAttention(), update_every=16) as memory:
        cache = recording(memory.cache())
        logits = in_chunks(model, {"input_ids": ids}, cache, size)
    assert parted(cache)
    with torch.no_grad(), masked_attention(model, visibility_of(cache)):
        expected = model(input_ids=ids, use_cache=False).logits
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("size", [7, 100])
@pytest.mark.parametrize("policy", POLICIES)
def test_oracle_of_policies_and_chunks(policy, size):
    model, batch = tiny("mistral" if policy == "noise" else "llama", torch.float64), padded_batch()
    with pruned(model, POLICIES[policy], update_every=16, attention="tiled" if size == 7 else "sdpa") as memory:
        cache = recording(memory.cache())
        logits = in_chunks(model, batch, cache, size)
    assert parted(cache)
    with masked_attention(model, visibility_of(cache)):
        expected = model(**batch, use_cache=False).logits
    real = batch["attention_mask"].bool()
    assert (logits - expected)[real].abs().max() < 1e-6 * expected.abs().max()  # tiles are float32 in places


def outcome(model, batch, policy):
    """Beams, a fork, selected rows and what is kept."""
    with torch.no_grad(), pruned(model, policy, update_every=16) as memory:
        beams = memory.generate(**batch, max_new_tokens=12, num_beams=2, do_sample=False, pad_token_id=0)
        kept = memory.report().live
        cache = memory.cache()
        in_chunks(model, batch, cache, 100)
        was_parted = parted(cache)
        other = fork(cache)
        rest, mask = torch.arange(3, 20)[None], torch.ones(2, 117, dtype=torch.long)
        mask[:, :100] = batch["attention_mask"]
        about = {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0)[1:, 100:], "attention_mask": mask[1:]}
        other.batch_select_indices(torch.tensor([1]))
        chosen = model(rest, past_key_values=other, **about).logits
        again = copy.deepcopy(cache)
        again.batch_select_indices(torch.tensor([1]))
        assert torch.equal(model(rest, past_key_values=again, **about).logits, chosen)
        assert cache.layers[0].keys.shape[0] == 2
    return beams, kept, chosen, was_parted


@pytest.mark.parametrize("policy", ["attention", "adakv", "namm"])
def test_beams_forks_and_rows_are_the_same_as_in_one_lane(policy, monkeypatch):
    model, batch = tiny("llama", torch.float64), padded_batch()
    beams, kept, chosen, was_parted = outcome(model, batch, POLICIES[policy])
    assert not was_parted
    monkeypatch.setattr(lanes, "_DEAD_SLOTS", 0)
    monkeypatch.setattr(lanes, "_DEAD_SHARE", 0)
    monkeypatch.setattr(lanes, "_DEAD_SHARE_OF_SEEN", 0)
    other_beams, other_kept, other_chosen, was_parted = outcome(model, batch, POLICIES[policy])
    assert was_parted
    assert torch.equal(beams, other_beams)
    assert kept == other_kept
    assert (chosen - other_chosen).abs().max() < 1e-10


@pytest.mark.usefixtures("apart")
@pytest.mark.with_gradients
def test_gradients_flow_through_lanes():
    model, batch = tiny("llama", torch.float64), padded_batch()
    mask = batch["attention_mask"]
    given = model.get_input_embeddings()(batch["input_ids"]).detach().requires_grad_()
    with pruned(model, RaggedNoise(), update_every=16) as memory:
        cache = recording(memory.cache())
        logits = model(inputs_embeds=given, attention_mask=mask, past_key_values=cache).logits
        (found,) = torch.autograd.grad(logits[mask.bool()].square().mean(), given)
    assert parted(cache)
    with masked_attention(model, visibility_of(cache)):
        logits = model(inputs_embeds=given, attention_mask=mask, use_cache=False).logits
        (expected,) = torch.autograd.grad(logits[mask.bool()].square().mean(), given)
    assert (found - expected).abs().max() < 1e-10 * expected.abs().max()


@pytest.mark.parametrize("rows", [1, 2])
def test_allocated_bytes_follow_live_ones_however_uneven_heads_are(rows):
    model = tiny("llama")
    shares = HeadShares(((0.02, 1.98), (6.6, 0.1), (0.3, 0.4)))
    ids = torch.randint(3, 97, (rows, 512), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), pruned(model, ByHead(base=KeyDiff(), shares=shares, budget=0.15), update_every=64) as memory:
        model(ids)
        report = memory.report()
    counts = [count for layer in report.live for count in layer[0]]
    assert max(counts) > 50 * min(counts)
    slots = sum(layer.slots for layer in report.layers) / 3
    assert slots > 1.5 * sum(counts) / len(counts), "one lane would cost half as much again"
    assert report.allocated_bytes <= 1.1 * report.live_bytes


def test_heads_are_parted_by_what_they_hold():
    assert lanes._alike([100, 100, 100], 4096) == [(0, 1, 2)]
    assert lanes._alike([1000, 10, 960, 30], 1024) == [(0, 2), (1, 3)]
    assert lanes._alike([0], 64) == [(0,)]
    assert lanes._alike([500, 100, 900], 1024) == [(2,), (0,), (1,)]
    assert lanes._alike([200, 100], 1024) == [(0,), (1,)]
    assert lanes._alike([200, 100], 4096) == [(0, 1)], "little beside all that was seen"
