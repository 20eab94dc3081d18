"""Eviction equals full attention under an explicit mask: families, padding, chunk sizes, ragged heads."""

import pytest
import torch
from families import FAMILIES, in_chunks, padded_batch, tiny
from ragged import RaggedByAttention, RaggedNoise

from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.memory import pruned

POLICIES = {"noise": RaggedNoise(), "attention": RaggedByAttention()}


def against_oracle(model, batch, policy, size, **settings):
    """Largest difference of the logits of real tokens, and the cache."""
    with pruned(model, policy, update_every=16, **settings) as memory:
        cache = recording(memory.cache())
        logits = in_chunks(model, batch, cache, size)
    with masked_attention(model, visibility_of(cache)):
        expected = model(**batch, use_cache=False).logits
    real = batch["attention_mask"].bool()
    return (logits - expected)[real].abs().max().item() / expected.abs().max().item(), cache


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_oracle_float64(family, policy):
    difference, cache = against_oracle(tiny(family, torch.float64), padded_batch(), POLICIES[policy], 100)
    assert difference < 1e-12
    lengths = torch.stack([layer.kept for layer in cache.layers])
    assert lengths.unique().numel() > 2, "the test is only worth something if heads are ragged"
    assert (lengths.float() < 100).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_oracle_float32(family):
    difference, _ = against_oracle(tiny(family), padded_batch(), POLICIES["noise"], 100)
    assert difference < 1e-5


@pytest.mark.parametrize("size", [1, 7, 16, 33, 100])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("family", ["llama", "mistral", "gpt2"])
def test_oracle_chunks(family, policy, size):
    difference, _ = against_oracle(tiny(family, torch.float64), padded_batch(), POLICIES[policy], size)
    assert difference < 1e-12


@pytest.mark.parametrize(
    "settings", [{"selection": "layer_max"}, {"attention": "tiled", "tile": 5}, {"protect_first": 4}]
)
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_oracle_settings(family, settings):
    difference, _ = against_oracle(tiny(family, torch.float64), padded_batch(), POLICIES["attention"], 33, **settings)
    assert difference < 1e-12


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_oracle_post_prefill(family):
    model, batch = tiny(family, torch.float64), padded_batch()
    difference, cache = against_oracle(model, batch, POLICIES["noise"], 50, schedule="post_prefill")
    assert difference < 1e-12
    assert cache.layers[0].slots < 100


def test_the_oracle_notices_a_wrong_mask():
    model, batch = tiny("llama", torch.float64), padded_batch()
    with pruned(model, RaggedNoise(), update_every=16) as memory:
        cache = recording(memory.cache())
        logits = in_chunks(model, batch, cache, 100)
    wrong = visibility_of(cache)
    wrong[1][:, 0, 60:, 10] ^= True  # one token of one head, seen or not
    with masked_attention(model, wrong):
        expected = model(**batch, use_cache=False).logits
    assert (logits - expected)[batch["attention_mask"].bool()].abs().max() > 1e-6
