"""Blocks on one model nest, cross and run in threads; caches work inside them; a failed forward spoils nothing else."""

import asyncio
import copy
import pickle
from contextlib import ExitStack
from threading import Thread

import pytest
import torch
from families import padded_batch, tiny
from ragged import RaggedByAttention, RaggedNoise

from namm_xmodal import L2Norm, pruned
from namm_xmodal.cache.fork import fork
from namm_xmodal.errors import UnsupportedOperationError

GREEDY = dict(max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0)
POLICIES = {"attention": RaggedByAttention(), "noise": RaggedNoise(), "full": None}


@pytest.fixture
def model():
    return tiny("llama", torch.float64, sharpness=2.0)


@pytest.fixture
def ids():
    return padded_batch(60, rows=1)["input_ids"]


def inside(model, policy=POLICIES["attention"], **settings):
    return pruned(model, policy, **{"update_every": 16, **settings})


def refused(message, call):
    with pytest.raises(UnsupportedOperationError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def expectations(model, ids):
    """Policy name -> logits, each from a block of its own."""
    found = {}
    for name, policy in POLICIES.items():
        with inside(model, policy) as memory:
            found[name] = model(ids, past_key_values=memory.cache()).logits
    return found


def untouched(model):
    decoder = model.get_decoder()
    return model.config._attn_implementation == "sdpa" and not decoder._forward_pre_hooks and not decoder._forward_hooks


# ------------------------------------------------------------------ outside
OUTSIDE = {
    "a second turn": lambda m, cache, ids: m.generate(torch.cat([ids, ids], 1), past_key_values=cache, **GREEDY),
    "one token": lambda m, cache, ids: m(ids[:, :1], past_key_values=cache),
    "several tokens": lambda m, cache, ids: m(ids[:, :5], past_key_values=cache),
    "the decoder": lambda m, cache, ids: m.model(ids[:, :5], past_key_values=cache),
}


@pytest.mark.parametrize("way", OUTSIDE)
def test_a_cache_outside_its_block_is_refused(model, ids, way):
    """It gave other text: one key per layer and step."""
    with inside(model) as memory:
        memory.generate(ids, **GREEDY)
    before = memory.report().live
    refused("a pruned cache was used outside its block", lambda: OUTSIDE[way](model, memory.last_cache, ids))
    assert memory.report().live == before, "the refusal left the cache as it was"
    refused("a pruned cache was used outside its block", lambda: memory.generate(ids, **GREEDY))


def test_a_cache_goes_on_in_a_later_block_under_its_own_policy(model, ids):
    with inside(model) as memory:
        expected = model(ids, past_key_values=memory.cache()).logits
        cache = memory.cache()
        model(ids[:, :30], past_key_values=cache)
    with pruned(model, L2Norm(budget=4), update_every=8) as later:
        logits = model(ids[:, 30:], past_key_values=cache).logits
        later.generate(torch.cat([ids, ids], 1), past_key_values=cache, **GREEDY)
        assert later.report().policy == "RaggedByAttention"
    assert (logits - expected[:, 30:]).abs().max() < 1e-12


# ------------------------------------------------------------------ nested and crossed
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize(("first", "second"), [("attention", "noise"), ("noise", "full"), ("full", "attention")])
def test_a_call_belongs_to_the_block_opened_last(model, ids, first, second, crossed):
    expected = expectations(model, ids)
    plain = model(ids).logits
    outer, inner = ExitStack(), ExitStack()
    outer_memory = outer.enter_context(inside(model, POLICIES[first]))
    assert torch.equal(model(ids).logits, expected[first])
    inner_memory = inner.enter_context(inside(model, POLICIES[second]))
    assert torch.equal(model(ids).logits, expected[second])
    assert torch.equal(model(ids, past_key_values=outer_memory.cache()).logits, expected[first])
    (outer if crossed else inner).close()
    left = second if crossed else first
    assert torch.equal(model(ids).logits, expected[left])
    assert torch.equal(model(ids, past_key_values=inner_memory.cache()).logits, expected[second])
    inner.close()
    outer.close()
    assert untouched(model)
    assert torch.equal(model(ids).logits, plain)


def test_blocks_on_a_model_and_on_its_inner_model_are_blocks_on_one_model(model, ids):
    expected = expectations(model, ids)
    outer, inner = ExitStack(), ExitStack()
    outer.enter_context(inside(model, POLICIES["attention"]))
    inner.enter_context(inside(model.model, POLICIES["noise"]))
    assert torch.equal(model(ids).logits, expected["noise"])
    outer.close()
    assert torch.equal(model(ids).logits, expected["noise"])
    inner.close()
    assert untouched(model)


def test_a_block_that_fails_to_open_leaves_the_others_alone(model, ids):
    expected = expectations(model, ids)
    with inside(model):
        with pytest.raises(ZeroDivisionError), inside(model, POLICIES["noise"]):
            raise ZeroDivisionError
        assert torch.equal(model(ids).logits, expected["attention"])
    assert untouched(model)


# ------------------------------------------------------------------ threads and tasks
def in_threads(*jobs):
    """Runs jobs side by side; returns what they raised."""
    raised = []

    def run(job):
        try:
            with torch.no_grad():
                job()
        except Exception as error:
            raised.append(error)

    threads = [Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_blocks_of_several_threads_keep_their_policies(model, ids):
    expected = expectations(model, ids)

    def work(name):
        for _ in range(5):
            with inside(model, POLICIES[name]) as memory:
                assert torch.equal(model(ids).logits, expected[name])
                assert torch.equal(model.generate(ids, **GREEDY), memory.generate(ids, **GREEDY))

    assert in_threads(*(lambda name=name: work(name) for name in (*POLICIES, *POLICIES))) == []
    assert untouched(model)


def test_threads_share_a_memory(model, ids):
    texts = [padded_batch(60, rows=1, seed=seed)["input_ids"] for seed in range(4)]
    with inside(model) as memory:
        expected = [memory.generate(each, **GREEDY) for each in texts]

        def work(text, wanted):
            for _ in range(5):
                assert torch.equal(memory.generate(text, **GREEDY), wanted)
                assert torch.equal(model.generate(text, **GREEDY), wanted)

        pairs = zip(texts, expected, strict=True)
        assert in_threads(*(lambda pair=pair: work(*pair) for pair in pairs)) == []


def test_a_thread_without_a_block_of_its_own_must_say_which_one_is_meant(model, ids):
    expected = expectations(model, ids)
    with inside(model) as first, inside(model, POLICIES["noise"]):
        (error,) = in_threads(lambda: model(ids))
        assert "2 pruned blocks are open on this model, none of them in this thread" in str(error)
        logits = []
        assert in_threads(lambda: logits.append(model(ids, past_key_values=first.cache()).logits)) == []
        assert torch.equal(logits[0], expected["attention"])


def test_tasks_that_take_turns_keep_their_policies(model, ids):
    expected = expectations(model, ids)

    async def task(name):
        with inside(model, POLICIES[name]):
            for _ in range(3):
                await asyncio.sleep(0)
                assert torch.equal(model(ids).logits, expected[name])

    async def all_tasks():
        await asyncio.gather(*(task(name) for name in POLICIES))

    asyncio.run(all_tasks())
    assert untouched(model)


# ------------------------------------------------------------------ a forward that fails
class Breaks(RaggedNoise):
    """Fails in the middle layer at its second update."""

    def score(self, observation):
        if observation.shape.layer == 1 and observation.seen == 32:
            raise ZeroDivisionError
        return super().score(observation)


def test_a_forward_that_failed_spoils_its_cache_and_nothing_else(model, ids):
    with inside(model, Breaks()) as memory:
        cache = memory.cache()
        expected = model(ids[:, :20], past_key_values=memory.cache()).logits
        with pytest.raises(ZeroDivisionError):
            model(ids, past_key_values=cache)
        refused(
            "layers have different lengths after a failed forward", lambda: model(ids[:, :5], past_key_values=cache)
        )
        assert torch.equal(model(ids[:, :20]).logits, expected)
        cache.reset()
        assert torch.equal(model(ids[:, :20], past_key_values=cache).logits, expected)
    assert untouched(model)


# ------------------------------------------------------------------ copies
def test_copies_go_on_by_themselves_and_pickles_are_refused(model, ids):
    with inside(model) as memory:
        expected = model(ids, past_key_values=memory.cache()).logits
        cache = memory.cache()
        model(ids[:, :30], past_key_values=cache)
        for copied in (fork(cache), copy.deepcopy(cache), cache):
            assert (model(ids[:, 30:], past_key_values=copied).logits - expected[:, 30:]).abs().max() < 1e-12
        refused("cannot be pickled", lambda: pickle.dumps(cache))
        other = tiny("llama", torch.float64)
        with inside(other) as others:
            refused("made for another model", lambda: model(ids, past_key_values=others.cache()))
    refused("outside its block", lambda: model(ids, past_key_values=copy.deepcopy(cache)))
