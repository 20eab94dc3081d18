"""Without eviction everything is bit-identical to the model's own sdpa; leaving the context restores the model."""

import pytest
import torch
from families import FAMILIES, in_chunks, padded_batch, tiny
from transformers import DynamicCache

from namm_xmodal import pruned
from namm_xmodal.policies.l2_norm import L2Norm

KEEPS_ALL = {"none": None, "budget never reached": L2Norm(budget=10_000)}


@pytest.mark.parametrize("policy", KEEPS_ALL)
@pytest.mark.parametrize("size", [100, 33, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_prefill_chunks_and_decoding_are_bit_identical(family, size, policy):
    if size == 1 and family not in ("llama", "gpt2", "gemma3"):
        pytest.skip("token by token is slow: three families stand for all")
    model, batch = tiny(family), padded_batch()
    expected = in_chunks(model, batch, DynamicCache(), size)
    with pruned(model, KEEPS_ALL[policy], update_every=16) as memory:
        logits = in_chunks(model, batch, memory.cache(), size)
    assert torch.equal(logits, expected)


GENERATION = {
    "greedy": {"do_sample": False},
    "sampling": {"do_sample": True, "top_k": 20, "temperature": 1.3},
    "beams": {"do_sample": False, "num_beams": 3},
    "beam sampling": {"do_sample": True, "num_beams": 2, "num_return_sequences": 2},
}


@pytest.mark.parametrize("mode", GENERATION)
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma3", "gpt2", "opt"])
def test_generation_is_identical(family, mode):
    model, batch = tiny(family, sharpness=2.0), padded_batch(40)
    batch.pop("position_ids")
    options = dict(max_new_tokens=12, pad_token_id=0, **GENERATION[mode])
    torch.manual_seed(3)
    expected = model.generate(**batch, **options)
    with pruned(model, None, update_every=16) as memory:
        torch.manual_seed(3)
        assert torch.equal(memory.generate(**batch, **options), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_calls_under_a_full_cache_are_the_models_own(family):
    model, batch = tiny(family), padded_batch()
    expected = model(**batch).logits
    with pruned(model, None, update_every=16):
        assert torch.equal(model(**batch).logits, expected)
        assert torch.equal(model(**batch, use_cache=False).logits, expected)
        assert torch.equal(in_chunks(model, batch, DynamicCache(), 100), expected)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_leaving_the_context_restores_the_model(implementation):
    model = tiny("llama")
    model.set_attn_implementation(implementation)
    before = model.config.to_json_string()

    def fail_inside():
        with pruned(model, L2Norm(), update_every=16):
            assert model.config._attn_implementation not in ("sdpa", "eager")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert model.config._attn_implementation == implementation
    assert model.config.to_json_string() == before


def test_contexts_nest():
    model, batch = tiny("llama"), padded_batch()
    expected = model(**batch).logits
    with pruned(model, L2Norm(budget=16), update_every=16) as outer:
        with pruned(model, None, update_every=16) as inner:
            assert torch.equal(model(**batch, past_key_values=inner.cache()).logits, expected)
        model(**batch, past_key_values=outer.cache())
        assert outer.report().kept_fraction < 0.5
    assert torch.equal(model(**batch).logits, expected)
