"""Layers that attend to the keys and values of an earlier one (Gemma 3n, Gemma 4 E2B and E4B) see what it kept."""

import copy
from functools import cache

import pytest
import torch
from families import in_chunks, padded_batch
from ragged import RaggedByAttention, RaggedNoise, fixed_noise
from tiny_classes import tiny_class

from namm_xmodal import H2O, CriticalKV, FastV, KeyDiff, SnapKV, pruned
from namm_xmodal.cache import pending
from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.handover import Handover
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.errors import UnsupportedOperationError

NAMES = ("Gemma3nForCausalLM", "Gemma4ForCausalLM")
SOURCES, LENGTH = 3, 64
KINDS = ["sliding_attention", "full_attention"] * 3
POLICIES = {"noise": RaggedNoise(), "attention": RaggedByAttention()}
GREEDY = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}


def sharing(name, dtype=torch.float64):
    """Six layers, of which the last three reuse the keys of the second (full) and the third (a window of 24)."""
    return copy.deepcopy(_sharing(name)).to(dtype)


@cache
def _sharing(name):
    return tiny_class(
        name, {"num_hidden_layers": len(KINDS), "num_kv_shared_layers": len(KINDS) - SOURCES, "layer_types": KINDS}
    )


def against_oracle(model, batch, policy, size, **settings):
    with torch.no_grad():
        with pruned(model, policy, update_every=16, **settings) as memory:
            held = recording(memory.cache())
            logits = in_chunks(model, batch, held, size)
        with masked_attention(model, visibility_of(held)):
            expected = model(**batch, use_cache=False).logits
    real = batch["attention_mask"].bool()
    return float((logits - expected)[real].abs().max() / expected.abs().max()), held


@pytest.mark.parametrize("name", NAMES)
def test_without_eviction_it_is_the_model_bit_for_bit(name):
    model, batch = sharing(name), padded_batch(LENGTH)
    one = padded_batch(LENGTH, rows=1)
    with torch.no_grad():
        stock, alone = model(**batch).logits, model(input_ids=one["input_ids"]).logits
        with pruned(model, None) as memory:
            assert torch.equal(model(**batch).logits, stock)
            assert torch.equal(model(input_ids=one["input_ids"]).logits, alone)
            assert len(memory.report().layers) == SOURCES
            parts = in_chunks(model, batch, memory.cache(), 7)
    real = batch["attention_mask"].bool()
    assert (parts - stock)[real].abs().max() < 1e-12 * stock.abs().max()


@pytest.mark.parametrize("name", NAMES)
def test_generation_and_beams_without_eviction_are_the_models_own(name):
    model, ids = sharing(name), padded_batch(40, rows=1)["input_ids"]
    for beams in (1, 3):
        stock = model.generate(ids, num_beams=beams, max_new_tokens=8, **GREEDY)
        with pruned(model, None) as memory:
            assert torch.equal(memory.generate(ids, num_beams=beams, max_new_tokens=8, **GREEDY), stock)


@pytest.mark.parametrize("size", [1, 7, 33, LENGTH])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", NAMES)
def test_chunks_agree_with_the_oracle(name, policy, size):
    difference, held = against_oracle(sharing(name), padded_batch(LENGTH), POLICIES[policy], size)
    assert difference < 1e-12
    lengths = torch.stack([layer.kept for layer in held.pruned])
    assert lengths.shape[0] == SOURCES
    assert lengths.unique().numel() > 2, "the test is only worth something if heads are ragged"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", [*NAMES, "Gemma4UnifiedForCausalLM"])
def test_single_precision_agrees_with_the_oracle(name, policy):
    """To 1e-5, or to what the bare model is off by itself: a random Gemma 4 of six layers by 2e-4."""
    batch = padded_batch(LENGTH)
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        exact = sharing(name)(**batch).logits
        rounded = sharing(name, torch.float32)(**batch).logits
    own = (rounded - exact)[real].abs().max() / exact.abs().max()
    difference, _ = against_oracle(sharing(name, torch.float32), batch, POLICIES[policy], LENGTH)
    assert difference < max(1e-5, own)


@pytest.mark.parametrize(
    "settings",
    [
        {"selection": "layer_max"},
        {"attention": "tiled", "tile": 5},
        {"protect_first": 4},
        {"schedule": "post_prefill"},
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_settings_agree_with_the_oracle(name, settings):
    difference, _ = against_oracle(sharing(name), padded_batch(LENGTH), POLICIES["attention"], 33, **settings)
    assert difference < 1e-12


class RaggedFar(RaggedNoise):
    """Heads keep shares of 1 and 0.2 of their tokens."""

    def score(self, observation):
        share = 1.0 - 0.8 * torch.arange(observation.positions.shape[1])[None, :, None]
        return share - fixed_noise(observation.positions, observation.shape.layer, self.salt)


def test_heads_that_differ_much_lie_in_lanes_of_their_own():
    model, batch = sharing("Gemma4ForCausalLM"), padded_batch(200)
    difference, held = against_oracle(model, batch, RaggedFar(), 200)
    assert difference < 1e-12
    assert any(len(layer.lanes) > 1 for layer in held.pruned)


def test_the_oracle_notices_blocks_that_are_not_told_apart(monkeypatch):
    """Were every block attended to as the last one was, tokens evicted later would be missing."""
    monkeypatch.setattr(Handover, "lanes", lambda self, number: self._newest)
    model = sharing("Gemma4ForCausalLM")
    batch = padded_batch(96, rows=1)
    with torch.no_grad(), pruned(model, RaggedNoise(), update_every=48) as memory:
        cache = recording(memory.cache())
        logits = model(**batch, past_key_values=cache).logits
    with torch.no_grad(), masked_attention(model, visibility_of(cache)):
        expected = model(**batch, use_cache=False).logits
    assert (logits - expected).abs().max() > 1e-6 * expected.abs().max()


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("padding", [True, False])
def test_rows_that_gemma_4_cuts_off_change_nothing(count, padding):
    """It computes reusing layers for the last logits only, which may begin in any block."""
    model, batch = sharing("Gemma4ForCausalLM"), padded_batch(LENGTH) if padding else padded_batch(LENGTH, rows=1)
    with torch.no_grad():
        for policy in (None, RaggedByAttention()):
            with pruned(model, policy, update_every=16):
                whole = model(**batch).logits[:, -count:]
                cut = model(**batch, logits_to_keep=count).logits
            assert cut.shape == whole.shape
            assert (cut - whole).abs().max() < 1e-12 * whole.abs().max()


@pytest.mark.parametrize("name", NAMES)
def test_beams_have_the_scores_of_a_fresh_run(name):
    model, batch = sharing(name), padded_batch(40)
    batch.pop("position_ids")
    with torch.no_grad(), pruned(model, RaggedByAttention(), update_every=8) as memory:
        found = memory.generate(
            **batch, max_new_tokens=12, num_beams=4, length_penalty=0.0, output_scores=True,
            return_dict_in_generate=True, **GREEDY,
        )  # fmt: skip
        assert memory.report().kept_fraction < 0.9
        for row in range(2):
            ids = found.sequences[row : row + 1, row * 13 :]
            logits = model(ids, past_key_values=memory.cache()).logits.log_softmax(-1)
            prompt = 40 - row * 13
            chosen = logits[0, prompt - 1 : -1].gather(-1, ids[0, prompt:, None])[:, 0]
            assert chosen.sum().item() == pytest.approx(found.sequences_scores[row].item(), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_in_a_batch_is_the_row_alone_and_forks_go_on_alike(name):
    model, batch, token = sharing(name), padded_batch(LENGTH), torch.tensor([[7]])
    with torch.no_grad(), pruned(model, RaggedByAttention(), update_every=16) as memory:
        together = in_chunks(model, batch, memory.cache(), 33)
        kept = memory.report().live
        for row in range(2):
            cache = memory.cache()
            alone = model(batch["input_ids"][row : row + 1, row * 13 :], past_key_values=cache).logits
            assert (alone - together[row : row + 1, row * 13 :]).abs().max() < 1e-11 * together.abs().max()
            assert [layer[row] for layer in kept] == [layer[0] for layer in memory.report().live]
        repeated = fork(cache)
        repeated.batch_repeat_interleave(3)
        repeated.reorder_cache(torch.tensor([2, 0, 1]))
        rows = model(token.expand(3, -1), past_key_values=repeated).logits
        alone = model(token, past_key_values=cache).logits
        assert (rows - alone).abs().max() < 1e-12 * alone.abs().max()


def test_decisions_are_those_of_the_source_alone_and_no_forward_leaves_anything_behind():
    """What reusing layers do, here with other query weights, does not reach the policy."""
    model, ids = sharing("Gemma4ForCausalLM"), padded_batch(rows=1)["input_ids"]
    kept = []
    with torch.no_grad(), pruned(model, H2O(budget=0.3), update_every=16) as memory:
        for _ in range(2):
            model(ids)
            kept.append([layer.index.clone() for layer in memory.last_cache.pruned])
            assert all(layer.handover is None for layer in memory.last_cache.pruned)
            assert pending._SOURCES.get() == ()
            for layer in model.model.layers[SOURCES:]:
                layer.self_attn.q_proj.weight.mul_(-2)
    assert all(torch.equal(*pair) for pair in zip(*kept, strict=True))


def test_a_forward_that_fails_leaves_nothing_behind():
    model, batch = sharing("Gemma3nForCausalLM"), padded_batch()
    expected = model(**batch).logits

    def fails(*_):
        raise KeyboardInterrupt

    hook = model.model.layers[SOURCES + 1].register_forward_pre_hook(fails)
    with torch.no_grad(), pruned(model, None) as memory:
        cache = memory.cache()
        with pytest.raises(KeyboardInterrupt):
            model(**batch, past_key_values=cache)
        hook.remove()
        with pytest.raises(UnsupportedOperationError, match="after a failed forward"):
            model(**batch, past_key_values=cache)
        assert torch.equal(model(**batch).logits, expected)
        assert pending._SOURCES.get() == ()


def test_keys_of_another_forward_are_refused():
    model, ids = sharing("Gemma3nForCausalLM"), padded_batch(rows=1)["input_ids"]
    attention = model.model.layers[SOURCES].self_attn
    hook = attention.register_forward_pre_hook(
        lambda _, args, kwargs: (
            args,
            {**kwargs, "shared_kv_states": {k: (v[0] + 0, v[1]) for k, v in kwargs["shared_kv_states"].items()}},
        ),
        with_kwargs=True,
    )
    with pruned(model, None), pytest.raises(UnsupportedOperationError, match="not those of an earlier layer"):
        model(ids)
    hook.remove()


def test_policies_that_read_values_as_projected_use_the_sources_projections():
    model, batch = sharing("Gemma4ForCausalLM"), padded_batch(LENGTH)
    for policy in (CriticalKV(base=SnapKV(budget=0.5, window=8)), KeyDiff(budget=0.5)):
        difference, held = against_oracle(model, batch, policy, LENGTH)
        assert difference < 1e-12
        assert not any(layer.untouched for layer in held.pruned)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_that_chooses_for_later_ones_chooses_for_their_readers(name):
    model, batch = sharing(name), padded_batch(LENGTH)
    difference, held = against_oracle(model, batch, FastV(budget=20, layer=1), LENGTH, schedule="post_prefill")
    assert difference < 1e-12
    assert [layer.slots for layer in held.pruned[1:]] == [20, 20]
