"""Tokens that left a sliding window take no room: nobody will see them again."""

import pytest
import torch
from families import in_chunks, padded_batch, tiny
from ragged import RaggedByAttention

from namm_xmodal import L2Norm, pruned
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of

WINDOW = 24


@pytest.mark.parametrize("size", [100, 7])
def test_only_the_window_is_kept_after_an_update(size):
    model, batch = tiny("gemma3", torch.float64), padded_batch(96, rows=1)
    with pruned(model, L2Norm(budget=0.9), update_every=32) as memory:
        cache = recording(memory.cache())
        logits = in_chunks(model, batch, cache, size)
    sliding, full = cache.layers[0], cache.layers[1]
    assert sliding.kept.tolist() == [[WINDOW - 1] * 2], "the next token sees itself and the newest 23"
    assert (sliding.index[sliding.live] >= 96 - WINDOW + 1).all()
    assert full.kept.tolist() == [[87, 87]]
    with masked_attention(model, visibility_of(cache)):
        expected = model(**batch, use_cache=False).logits
    assert (logits - expected).abs().max() < 1e-10 * expected.abs().max()


def test_a_budget_chooses_within_the_window():
    model, batch = tiny("mistral", torch.float64), padded_batch(96, rows=2)
    with pruned(model, L2Norm(budget=10), update_every=32) as memory:
        cache = memory.cache()
        in_chunks(model, batch, cache, 96)
        for layer in cache.layers:
            assert layer.kept[0].tolist() == [10, 10]
            kept = layer.index[0][layer.live[0]]
            assert (kept > 96 - WINDOW).all()


def test_an_interrupted_forward_leaves_nothing_behind():
    model, batch = tiny("llama"), padded_batch()
    expected = model(**batch).logits

    class Interrupts(RaggedByAttention):
        def observe(self, state, tile):
            raise KeyboardInterrupt

    def interrupted():
        with pruned(model, Interrupts(), update_every=16) as memory:
            model(**batch, past_key_values=memory.cache())

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.equal(model(**batch).logits, expected)
    with pruned(model, None, update_every=16) as memory:
        assert torch.equal(model(**batch, past_key_values=memory.cache()).logits, expected)
