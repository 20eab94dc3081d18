"""The report counts what is there: tokens, bytes, and what a full cache would take."""

import pytest
import torch
from families import in_chunks, padded_batch, tiny
from transformers import DynamicCache

from namm_xmodal import H2O, L2Norm, pruned


def test_bytes_of_a_full_cache_are_those_of_transformers_own():
    model, batch = tiny("llama"), padded_batch(96)
    full = DynamicCache()
    in_chunks(model, batch, full, 96)
    expected = sum(x.numel() * x.element_size() for layer in full.layers for x in (layer.keys, layer.values))
    with pruned(model, L2Norm(budget=24), update_every=32, protect_recent=4) as memory:
        cache = memory.cache()
        in_chunks(model, batch, cache, 96)
        report = memory.report()
    assert report.full_bytes == expected
    assert report.seen == (96, 83)
    assert report.live == [[[24, 24], [24 + 19, 24 + 19]]] * 3  # the padded row's last update was at 64 of its 83
    per_token = 2 * 8 * 4
    assert report.live_bytes == 3 * 2 * (24 + 43) * per_token
    assert report.kept_fraction == pytest.approx((24 / 96 + 43 / 83) / 2)
    stored = sum(x.numel() * x.element_size() for layer in cache.layers for x in (layer.keys, layer.values))
    assert stored <= report.allocated_bytes
    assert "keeps 38.4% of 96 tokens" in report.summary
    assert str(report).splitlines()[0] == report.summary
    assert str(report).splitlines()[1:] == ["  layers 0 to 2, each: 24/24 43/43 tokens, 0.01 MiB of 0.01 MiB allocated"]
    assert report.to_dict()["live"] == report.live


def test_memory_shrinks_when_tokens_are_evicted():
    model, batch = tiny("llama"), padded_batch(320, rows=1)
    sizes = {}
    for budget in (0.1, 0.9):
        with pruned(model, H2O(budget=budget), update_every=16) as memory:
            in_chunks(model, batch, memory.cache(), 320)
            sizes[budget] = memory.report().allocated_bytes
    assert sizes[0.1] < 0.2 * sizes[0.9]


def test_a_policys_buffers_are_counted():
    model, batch = tiny("llama"), padded_batch(64, rows=1)
    with pruned(model, H2O(budget=16), update_every=32) as memory:
        cache = memory.cache()
        in_chunks(model, batch, cache, 64)
        report = memory.report()
    assert all(layer.state_bytes > 0 for layer in report.layers)
    assert report.allocated_bytes == sum(layer.allocated_bytes + layer.state_bytes for layer in report.layers)


def test_a_reset_cache_starts_over():
    model, batch = tiny("llama", torch.float64), padded_batch(64, rows=1)
    with pruned(model, H2O(budget=16), update_every=32) as memory:
        cache = memory.cache()
        first = in_chunks(model, batch, cache, 64)
        cache.reset()
        assert cache.get_seq_length() == 0
        assert torch.equal(in_chunks(model, batch, cache, 64), first)
