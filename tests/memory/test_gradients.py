"""A loss through a pruned cache has gradients, equal to those of the masked oracle."""

import pytest
import torch
from families import padded_batch, tiny
from ragged import RaggedByAttention

from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.memory import pruned


@pytest.mark.with_gradients
def test_gradients_equal_the_oracles():
    model, ids = tiny("llama", torch.float64), padded_batch(60, rows=1)["input_ids"]
    with pruned(model, RaggedByAttention(), update_every=16) as memory:
        cache = recording(memory.cache())
        model(ids, labels=ids, past_key_values=cache).loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    with masked_attention(model, visibility_of(cache)):
        model(ids, labels=ids, use_cache=False).loss.backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-10), name
