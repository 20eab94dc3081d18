"""Policies that look at positions alone: full cache, recency, StreamingLLM, random."""

import pytest
import torch

from namm_xmodal.errors import BudgetError, ConfigError
from namm_xmodal.policies.full import FullCache
from namm_xmodal.policies.random import RandomEviction
from namm_xmodal.policies.recency import Recency
from namm_xmodal.policies.streaming_llm import StreamingLLM


def test_full_keeps_everything(layer):
    policy = FullCache()
    assert torch.equal(policy.keep(layer.score(policy), layer.candidates()), layer.live)
    assert not policy.may_evict(10_000, layer.shape)


def test_recency_keeps_the_newest(layer):
    kept = layer.kept(Recency(budget=5))
    for row, head, slots in layer.heads():
        assert kept[row][head] == layer.positions[row, head, slots[-5:]].tolist()


def test_streaming_llm_keeps_sinks_and_the_newest(layer):
    kept = layer.kept(StreamingLLM(budget=6, num_sinks=3))
    for row, head, slots in layer.heads():
        positions = layer.positions[row, head, slots].tolist()
        sinks = [p for p in positions if p < 3]  # a sink that is gone frees its place
        rest = [p for p in positions if p >= 3]
        assert kept[row][head] == sinks + rest[-(6 - len(sinks)) :]


def test_a_fraction_is_of_the_tokens_seen(layer):
    assert all(len(head) == 5 for row in layer.kept(Recency(budget=0.25)) for head in row)


@pytest.mark.parametrize(("budget", "sinks", "first", "recent"), [(4, 4, 0, 1), (5, 4, 6, 0), (6, 4, 4, 3)])
def test_streaming_llm_refuses_a_budget_below_its_sinks(budget, sinks, first, recent):
    with pytest.raises(BudgetError, match=rf"budget={budget}.*"):
        StreamingLLM(budget=budget, num_sinks=sinks).check_clock(64, first, recent)
    StreamingLLM(budget=max(sinks, first) + recent, num_sinks=sinks).check_clock(64, first, recent)


def test_random_is_one_priority_per_token_for_life(layer):
    scores = layer.score(RandomEviction(seed=4))
    layer.seen += 100
    assert torch.equal(scores, layer.score(RandomEviction(seed=4)))
    for head in range(layer.positions.shape[1]):
        by_position = {}
        for row in range(layer.positions.shape[0]):  # no dependence on the batch row
            for position, score in zip(layer.positions[row, head].tolist(), scores[row, head].tolist(), strict=True):
                assert position < 0 or by_position.setdefault(position, score) == score


def test_random_is_uniform_and_differs_between_heads_layers_and_seeds(layer):
    layer.positions = torch.arange(5000).expand(1, 2, -1)
    scores = layer.score(RandomEviction())
    assert scores.min() >= 0
    assert scores.max() < 1
    histogram = torch.histc(scores[0, 0], 10, 0, 1)
    assert (histogram - 500).abs().max() < 90  # 4 standard deviations
    assert abs(torch.corrcoef(scores[0])[0, 1]) < 0.05
    assert abs(torch.corrcoef(torch.stack([scores[0, 0, :-1], scores[0, 0, 1:]]))[0, 1]) < 0.05
    other = layer.score(RandomEviction(seed=1))
    assert abs(torch.corrcoef(torch.stack([scores[0, 0], other[0, 0]]))[0, 1]) < 0.05


@pytest.mark.parametrize("make", [lambda: StreamingLLM(num_sinks=-1), lambda: RandomEviction(seed=True)])
def test_bad_settings_are_refused(make):
    with pytest.raises(ConfigError, match="expected an integer, 0 or more"):
        make()
