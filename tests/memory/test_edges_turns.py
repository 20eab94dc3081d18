"""A second turn is the whole conversation; ids, rows and masks that do not fit the cache are refused in one line."""

import pytest
import torch
from families import padded_batch, tiny
from ragged import RaggedByAttention

from namm_xmodal import pruned
from namm_xmodal.cache.fork import fork
from namm_xmodal.errors import UnsupportedOperationError

GREEDY = dict(max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0)


@pytest.fixture(scope="module")
def model():
    return tiny("llama", torch.float64, sharpness=2.0)


@pytest.fixture
def turn(model):
    """A memory inside its block, the first turn's text (66 tokens) and its cache, which has seen 65 of them."""
    ids = padded_batch(60, rows=1)["input_ids"]
    with torch.no_grad(), pruned(model, RaggedByAttention(), update_every=16) as memory:
        text = memory.generate(ids, **GREEDY)
        yield memory, text, memory.last_cache


def refused(message, call):
    with pytest.raises(UnsupportedOperationError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 10, 32, 33, 40, 64, 65])
def test_ids_that_are_not_longer_than_what_was_seen_are_refused(model, turn, length):
    """They gave other text, or "cannot reshape tensor of 0 elements"."""
    memory, text, cache = turn
    wanted = "has seen 65 tokens and there are no new ones; input_ids must be the whole conversation"
    refused(wanted, lambda: memory.generate(text[:, :length], past_key_values=cache, **GREEDY))
    refused(wanted, lambda: memory.generate(input_ids=text[:, :length], past_key_values=cache, **GREEDY))
    if length not in (0,):  # transformers itself refuses empty ids
        refused(wanted, lambda: model.generate(text[:, :length], past_key_values=fork(cache), **GREEDY))
    assert memory.report().seen == (65,)


def test_the_whole_conversation_continues_it(model, turn):
    memory, text, cache = turn
    both = torch.cat([text, padded_batch(9, rows=1, seed=3)["input_ids"]], 1)
    expected = memory.generate(both, **GREEDY)
    assert torch.equal(memory.generate(both, past_key_values=fork(cache), **GREEDY), expected)
    assert torch.equal(model.generate(both, past_key_values=fork(cache), **GREEDY), expected)
    assert memory.report().seen == (80,)


def test_new_ids_alone_will_do_with_a_mask_of_the_whole_conversation(turn):
    """As in transformers."""
    memory, text, cache = turn
    new = torch.cat([text[:, 65:], padded_batch(9, rows=1, seed=3)["input_ids"]], 1)
    expected = memory.generate(torch.cat([text[:, :65], new], 1), past_key_values=fork(cache), **GREEDY)
    mask = torch.ones(1, 75, dtype=torch.long)
    found = memory.generate(new, attention_mask=mask, past_key_values=fork(cache), **GREEDY)
    assert torch.equal(found, expected[:, 65:])


def test_a_padded_batch_continues(model):
    batch = padded_batch(60, rows=2)
    batch.pop("position_ids")
    with pruned(model, RaggedByAttention(), update_every=16) as memory:
        text = memory.generate(**batch, **GREEDY)
        cache = memory.last_cache
        more = torch.randint(3, 97, (2, 7), generator=torch.Generator().manual_seed(1))
        ids = torch.cat([text, more], 1)
        mask = torch.cat([batch["attention_mask"], torch.ones(2, 13, dtype=torch.long)], 1)
        expected = memory.generate(ids, attention_mask=mask, **GREEDY)
        assert torch.equal(memory.generate(ids, attention_mask=mask, past_key_values=fork(cache), **GREEDY), expected)
        short = (ids[:, :50], mask[:, :50])
        refused(
            "the whole conversation",
            lambda: memory.generate(short[0], attention_mask=short[1], past_key_values=cache, **GREEDY),
        )
        refused(
            "the whole conversation|attention_mask of 50 columns",
            lambda: model.generate(short[0], attention_mask=short[1], past_key_values=cache, **GREEDY),
        )


@pytest.mark.parametrize("size", [7, 60])
def test_a_mask_of_the_whole_text_serves_every_chunk(model, size):
    batch = padded_batch(60, rows=2)
    with pruned(model, RaggedByAttention(), update_every=16) as memory:
        expected = model(**batch).logits
        cache, parts = memory.cache(), []
        for ids, positions in zip(batch["input_ids"].split(size, 1), batch["position_ids"].split(size, 1), strict=True):
            inputs = {"attention_mask": batch["attention_mask"], "position_ids": positions, "past_key_values": cache}
            parts.append(model(ids, **inputs).logits)
        options = {"attention_mask": batch["attention_mask"], **GREEDY}
        whole = memory.generate(batch["input_ids"], **options)
        assert torch.equal(model.generate(batch["input_ids"], prefill_chunk_size=size, **options), whole)
    real = batch["attention_mask"].bool()
    assert (torch.cat(parts, 1) - expected)[real].abs().max() < 1e-10


def test_what_does_not_fit_the_cache_is_refused(model, turn):
    _, text, cache = turn
    new = text[:, :5]
    refused(
        "attention_mask of 5 columns: expected one for each of the 65 tokens that the cache has seen and the 5 new",
        lambda: model(new, attention_mask=torch.ones_like(new), past_key_values=cache),
    )
    refused("attention_mask of 3 columns", lambda: model(new, attention_mask=torch.ones_like(new[:, :3])))
    refused("3 rows with a cache of 1", lambda: model(new.expand(3, -1), past_key_values=cache))
    refused(
        "use_cache=False with a cache of 65 tokens",
        lambda: model.generate(torch.cat([text, text], 1), past_key_values=cache, use_cache=False, **GREEDY),
    )
    assert cache.get_seq_length() == 65
