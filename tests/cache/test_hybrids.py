"""Hybrid models: attention is pruned, states follow generation, beams, forks and repeated rows."""

import pytest
import torch
from families import in_chunks, padded_batch
from tiny_classes import tiny_class

from namm_xmodal import AdaKV, KeyDiff, RandomEviction, pruned
from namm_xmodal.cache.fork import fork

NAMES = ("Qwen3NextForCausalLM", "FalconH1ForCausalLM", "Lfm2ForCausalLM")


@pytest.mark.parametrize("name", NAMES)
def test_generation_and_beams_without_eviction_are_the_models_own(name):
    model, ids = tiny_class(name), padded_batch(40, rows=1)["input_ids"]
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    for beams in (1, 3):
        stock = model.generate(ids, num_beams=beams, **options)
        with pruned(model, None) as memory:
            assert torch.equal(memory.generate(ids, num_beams=beams, **options), stock)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_forks_and_repeated_rows_go_on_alike(name):
    model, batch = tiny_class(name), {"input_ids": padded_batch(60, rows=1)["input_ids"]}
    policy = AdaKV(base=KeyDiff() if name.startswith("Lfm2") else RandomEviction(seed=1), budget=0.5)
    with torch.no_grad(), pruned(model, policy, update_every=16) as memory:
        cache, token = memory.cache(), torch.tensor([[7]])
        in_chunks(model, batch, cache, 60)
        repeated = fork(cache)
        repeated.batch_repeat_interleave(2)
        rows = model(token.expand(2, -1), past_key_values=repeated).logits
        repeated.batch_select_indices(torch.tensor([1]))
        alone = model(token, past_key_values=cache).logits
        assert torch.allclose(rows, alone.expand(2, -1, -1), atol=1e-5)
        one, other = (model(token, past_key_values=each).logits for each in (repeated, cache))
        assert torch.allclose(one, other, atol=1e-5)
        assert memory.report().kept_fraction < 0.7


def test_two_forwards_with_a_policy_that_protects_report_and_generate():
    model, ids = tiny_class("Qwen3NextForCausalLM"), padded_batch(60, rows=1)["input_ids"]
    with torch.no_grad(), pruned(model, KeyDiff(budget=0.5), update_every=16, protect_recent=4) as memory:
        memory.generate(ids, max_new_tokens=4, pad_token_id=0)
        assert len(memory.report().layers) == 2
        assert "layer  1" in str(memory.report())
