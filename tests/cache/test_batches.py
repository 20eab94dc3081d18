"""Batch-mates never influence each other; rows can be reordered, selected and repeated."""

import pytest
import torch
from families import in_chunks, padded_batch, tiny
from ragged import RaggedByAttention, RaggedNoise

from namm_xmodal import H2O, Namm, SnapKV, pruned
from namm_xmodal.policies.namm import FeatureStatistics


def a_namm() -> Namm:
    # Received attention is about 1 / tokens: statistics of that size make random scores of both signs.
    statistics = FeatureStatistics(torch.full((17,), 0.02), torch.full((17,), 0.03))
    return Namm.untrained("random", sigma=0.3, seed=1, statistics=statistics)


POLICIES = {
    "noise": RaggedNoise(),
    "attention": RaggedByAttention(),
    "snapkv": SnapKV(budget=20, window=4),
    "h2o": H2O(budget=0.3),
    "namm": a_namm(),
}


@pytest.mark.parametrize("selection", ["ragged", "layer_max"])
@pytest.mark.parametrize("size", [100, 7])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_row_in_a_batch_is_the_row_alone(policy, size, selection):
    model, batch = tiny("llama", torch.float64), padded_batch(rows=3)
    with pruned(model, POLICIES[policy], update_every=32, selection=selection) as memory:
        together = in_chunks(model, batch, memory.cache(), size)
        kept = memory.report().live
        for row in range(3):
            start = row * 13
            cache = memory.cache()
            alone = model(batch["input_ids"][row : row + 1, start:], past_key_values=cache).logits
            assert (alone - together[row : row + 1, start:]).abs().max() < 1e-10
            assert [layer[row] for layer in kept] == [layer[0] for layer in memory.report().live]


@pytest.mark.parametrize("policy", POLICIES)
def test_rows_can_be_selected_reordered_and_repeated(policy):
    model, batch = tiny("llama", torch.float64), padded_batch(rows=3)
    rest = torch.randint(3, 97, (3, 40), generator=torch.Generator().manual_seed(5))
    full = {
        "input_ids": torch.cat([batch["input_ids"], rest], 1),
        "attention_mask": torch.cat([batch["attention_mask"], torch.ones_like(rest)], 1),
    }

    def continued(cache, rows):
        mask = full["attention_mask"][rows]
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, 100:]
        return model(rest[rows], attention_mask=mask, position_ids=positions, past_key_values=cache).logits

    with pruned(model, POLICIES[policy], update_every=32) as memory:
        cache = memory.cache()
        in_chunks(model, batch, cache, 100)
        expected = continued(cache, [0, 1, 2])
        for change, rows in (
            (lambda c: c.reorder_cache(torch.tensor([2, 0, 2])), [2, 0, 2]),
            (lambda c: c.batch_select_indices(torch.tensor([1])), [1]),
            (lambda c: c.batch_repeat_interleave(2), [0, 0, 1, 1, 2, 2]),
        ):
            cache = memory.cache()
            in_chunks(model, batch, cache, 100)
            change(cache)
            assert (continued(cache, rows) - expected[rows]).abs().max() < 1e-10
            assert len(memory.report().seen) == len(rows)


def test_beams_follow_the_beam_they_descend_from():
    """Beam search with eviction: every returned sequence has the score that a fresh pruned run gives it."""
    model, batch = tiny("llama", torch.float64, sharpness=2.0), padded_batch(40)
    batch.pop("position_ids")
    with pruned(model, RaggedByAttention(), update_every=8) as memory:
        found = memory.generate(
            **batch, max_new_tokens=20, num_beams=4, do_sample=False, pad_token_id=0, eos_token_id=None,
            output_scores=True, return_dict_in_generate=True, length_penalty=0.0,
        )  # fmt: skip
        for row in range(2):
            start = row * 13
            ids = found.sequences[row : row + 1, start:]
            logits = model(ids, past_key_values=memory.cache()).logits.log_softmax(-1)
            prompt = 40 - start
            chosen = logits[0, prompt - 1 : -1].gather(-1, ids[0, prompt:, None])[:, 0]
            # generate sums float32 scores
            assert chosen.sum().item() == pytest.approx(found.sequences_scores[row].item(), abs=1e-4)


def test_multi_turn_continues_the_same_cache():
    model = tiny("llama", torch.float64, sharpness=2.0)
    first = padded_batch(50, rows=1)["input_ids"]
    with pruned(model, RaggedByAttention(), update_every=8) as memory:
        cache = memory.cache()
        turn = memory.generate(
            first, past_key_values=cache, max_new_tokens=9, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        second = torch.cat([turn, first[:, :17]], 1)
        both = memory.generate(
            second, past_key_values=cache, max_new_tokens=9, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        assert memory.last_cache is cache
        logits = model(both[:, :-1], past_key_values=memory.cache()).logits
    assert torch.equal(logits[0, 49:58].argmax(-1), both[0, 50:59])
    assert torch.equal(logits[0, 75:].argmax(-1), both[0, 76:])
