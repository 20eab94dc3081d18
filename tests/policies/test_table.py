"""The table of policies, and pruning a model with each of them."""

import dataclasses

import pytest
import torch
from families import in_chunks, padded_batch, tiny

from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.config.policies import build_policy
from namm_xmodal.errors import BudgetError
from namm_xmodal.memory import pruned
from namm_xmodal.policies.protocol import Policy
from namm_xmodal.policies.table import POLICIES

OTHERS = ("full", "namm", "by_head", "simlayerkv")  # without a budget, or with tests of their own
BASELINES = [name for name in POLICIES if name not in OTHERS]
STREAMING = [name for name in [*BASELINES, "simlayerkv"] if name != "fastv"]  # which prunes after a prompt alone
SMALL = {
    "snapkv": {"window": 8},
    "adakv": {"base": {"policy": "snapkv", "window": 8}},
    "pyramidkv": {"base": {"policy": "adakv", "base": {"policy": "snapkv", "window": 8}}},
    "expected_attention": {"n_queries": 24, "n_future": 32},
    "lagkv": {"lag": 8},
    "compactor": {"chunk": 24},
    "chunkkv": {"chunk": 3, "base": {"policy": "snapkv", "window": 8}},
    "criticalkv": {"base": {"policy": "snapkv", "window": 8}},
    "simlayerkv": {"threshold": 0.4, "queries": 2, "recent": 8, "num_sinks": 2},
}


def small(name, **budget):
    return build_policy({"policy": name, **SMALL.get(name, {}), **({} if name == "simlayerkv" else budget)})


def test_names():
    assert (
        list(POLICIES)
        == (
            "full recency streaming_llm random l2_norm keydiff geometry cur lagkv h2o h2o_normalised tova snapkv rkv "
            "expected_attention compactor simlayerkv fastv chunkkv criticalkv adakv by_head pyramidkv namm"
        ).split()
    )


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_says_in_one_line_what_it_keeps(name):
    line = POLICIES[name].__doc__.strip().splitlines()[0]
    assert 20 < len(line) < 120
    assert line.endswith(".")


@pytest.mark.parametrize("name", [*BASELINES, "full", "simlayerkv"])
def test_policies_are_frozen_hashable_and_printable(name):
    policy = POLICIES[name]()
    assert isinstance(policy, Policy)
    assert hash(policy) == hash(POLICIES[name]())
    assert policy == POLICIES[name]()
    assert type(policy).__name__ in repr(policy)
    for field in dataclasses.fields(policy):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(policy, field.name, None)
        assert f"    {field.name}: " in _documentation(type(policy)), f"{field.name} is not documented"


def _documentation(cls):
    return "\n".join(part.__doc__ or "" for part in cls.__mro__ if part is not object)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("budget", [0, -3, 0.0, 1.5, "many", True])
def test_impossible_budgets_are_refused(name, budget):
    with pytest.raises(BudgetError, match=r"^budget="):
        POLICIES[name](budget=budget)


@pytest.mark.parametrize("name", STREAMING)
def test_a_padded_row_is_pruned_as_if_it_were_alone_and_in_chunks_of_any_size(name):
    model, batch = tiny("llama", torch.float64), padded_batch(64, 13)
    policy = small(name, budget=0.5)
    alone = {key: value[1:, 13:] for key, value in batch.items()}
    kept, logits = [], []
    for inputs, size in ((batch, 64), (batch, 7), (batch, 1), (alone, 64), (alone, 5)):
        with pruned(model, policy, update_every=16) as memory:
            cache = memory.cache()
            logits.append(in_chunks(model, inputs, cache, size)[-1, -51:])
        offset = 0 if inputs is batch else 13
        kept.append(
            [sorted((index[index >= 0] + offset).tolist()) for layer in cache.layers for index in layer.index[-1]]
        )
    assert all(other == kept[0] for other in kept[1:])
    assert min(len(head) for head in kept[0]) < 51
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0])


@pytest.mark.parametrize("name", STREAMING)
def test_oracle(name):
    model, batch = tiny("mistral", torch.float64), padded_batch(64, 13)
    policy = small(name, budget=0.5)
    with pruned(model, policy, update_every=16) as memory:
        cache = recording(memory.cache())
        logits = in_chunks(model, batch, cache, 33)
    with masked_attention(model, visibility_of(cache)):
        expected = model(**batch, use_cache=False).logits
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(logits[real], expected[real])


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "fastv"])  # its first layers keep everything
def test_pruning_after_prefill(name):
    model, batch = tiny("llama"), padded_batch(40, 5)
    policy = small(name, budget=16)
    with pruned(model, policy, schedule="post_prefill") as memory:
        out = memory.generate(
            **{k: v for k, v in batch.items() if k != "position_ids"}, max_new_tokens=4, do_sample=False
        )
    assert out.shape == (2, 44)
    live = memory.report().live
    mean = sum(count for layer in live for row in layer for count in row) / (len(live) * 4)
    assert mean == 16 + 3  # the last token is not fed back
