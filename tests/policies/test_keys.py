"""Policies that look at keys and values: L2 norm, KeyDiff, geometry, LagKV and CUR."""

import math

import pytest
import torch

from namm_xmodal.errors import BudgetError, ConfigError
from namm_xmodal.policies.cur import CUR
from namm_xmodal.policies.geometry import Geometry
from namm_xmodal.policies.keydiff import KeyDiff
from namm_xmodal.policies.l2_norm import L2Norm
from namm_xmodal.policies.lagkv import LagKV
from namm_xmodal.policies.namm import Namm, linear_start, make_features


def test_l2_norm(layer):
    scores = layer.score(L2Norm())
    for row, head, slots in layer.heads():
        for slot in slots:
            length = math.sqrt(sum(x * x for x in layer.keys[row, head, slot].tolist()))
            assert scores[row, head, slot].item() == pytest.approx(-length, rel=1e-6)


def test_l2_norm_leaves_skipped_layers_alone(layer):
    assert not L2Norm(skip_layers=(0, 1)).may_evict(1000, layer.shape)
    assert L2Norm(skip_layers=(0,)).may_evict(1000, layer.shape)
    assert hash(L2Norm(skip_layers=[0])) == hash(L2Norm(skip_layers=(0,)))
    with pytest.raises(ConfigError, match="skip_layers=-1"):
        L2Norm(skip_layers=(-1,))


def test_keydiff(layer):
    scores = layer.score(KeyDiff())
    for row, head, slots in layer.heads():
        keys = layer.keys[row, head, slots].double()
        directions = keys / keys.norm(dim=-1, keepdim=True)
        anchor = directions.mean(0)
        expected = -(directions @ anchor) / anchor.norm()
        torch.testing.assert_close(scores[row, head, slots].double(), expected, rtol=1e-5, atol=1e-6)


def test_keydiff_with_one_token_left(layer):
    layer.positions = layer.positions.masked_fill(layer.positions < layer.seen - 1, -1)
    assert torch.allclose(layer.score(KeyDiff())[layer.live], torch.tensor(-1.0))


def test_geometry_is_a_sum_of_four_standardised_numbers(layer):
    scores = layer.score(Geometry())
    for row, head, slots in layer.heads():
        keys, values = (tensor[row, head, slots].double() for tensor in (layer.keys, layer.values))
        directions = keys / keys.norm(dim=-1, keepdim=True)
        anchor, cosines, count = directions.mean(0), directions @ directions.T, len(slots)
        numbers = [
            [-float(directions[i] @ anchor / anchor.norm()) for i in range(count)],
            [-max((float(cosines[i, j]) for j in range(i)), default=-1.0) for i in range(count)],
            [-max((float(cosines[i, j]) for j in range(i + 1, count)), default=-1.0) for i in range(count)],
            [math.log(float(values[i].norm())) for i in range(count)],
        ]
        table = torch.tensor(numbers, dtype=torch.float64)
        deviation = table.std(-1, correction=0, keepdim=True)
        expected = ((table - table.mean(-1, keepdim=True)) / (deviation + 1e-4)).sum(0)
        torch.testing.assert_close(scores[row, head, slots].double(), expected, rtol=1e-4, atol=1e-4)


def test_geometry_is_a_namm_before_training(layer):
    namm = Namm.untrained(features=make_features(["key_novelty", "nearest_key", "value_norm"]))
    weights = {"key_novelty": 1.0, "nearest_key": -1.0, "value_norm": 1.0}
    vector = torch.from_numpy(linear_start(namm, weights, sigma=1e-12, seed=0)).float()
    scores = namm.score_with(layer.observation(), vector[None, None])
    live = layer.live
    torch.testing.assert_close(scores[live], layer.score(Geometry())[live], rtol=1e-4, atol=1e-4)


def variation(token, following):
    """LagKV's deviation of one vector, measured by the smallest and largest numbers of the vectors that follow."""
    relative = []
    for d in range(len(token)):
        low, high = min(v[d] for v in following), max(v[d] for v in following)
        relative.append((token[d] - low) / (high - low))
    mean = sum(relative) / len(relative)
    return math.sqrt(sum((x - mean) ** 2 for x in relative) / (len(relative) - 1))


def in_shares(numbers):
    return [math.exp(x) / sum(math.exp(y) for y in numbers) for x in numbers]


def test_lagkv(layer):
    sinks, lag = 2, 3
    scores = layer.score(LagKV(num_sinks=sinks, lag=lag))
    for row, head, slots in layer.heads():
        first = [s for s in slots if layer.positions[row, head, s] < sinks]
        rest = slots[len(first) :]
        expected = {s: math.inf for s in first} | {s: 1.0 for s in rest}
        for start in range(0, (len(rest) // lag - 1) * lag, lag):
            here, after = rest[start : start + lag], rest[start + lag : start + 2 * lag]
            shares = []
            for states in (layer.keys[row, head].tolist(), layer.values[row, head].tolist()):
                shares.append(in_shares([variation(states[s], [states[t] for t in after]) for s in here]))
            totals = [key + value for key, value in zip(*shares, strict=True)]
            expected |= {s: sorted(totals).index(total) / lag for s, total in zip(here, totals, strict=True)}
        assert sum(score < 1 for score in expected.values()) >= lag
        assert [scores[row, head, s].item() for s in slots] == pytest.approx([expected[s] for s in slots])


def test_lagkv_is_streaming_llm_on_short_texts(layer):
    assert bool((layer.score(LagKV(num_sinks=0))[layer.live] == 1).all())


def test_lagkv_where_what_follows_is_constant(layer):
    layer.keys, layer.values = torch.ones_like(layer.keys), torch.ones_like(layer.values)
    scores = layer.score(LagKV(num_sinks=0, lag=3))
    for row, head, slots in layer.heads():
        assert scores[row, head, slots[:3]].tolist() == pytest.approx([0, 1 / 3, 2 / 3])  # ties go to the newest


def test_cur(layer):
    sinks, window = 1, 4
    scores = layer.score(CUR(num_sinks=sinks, neighbours=window))
    for row, head, slots in layer.heads():
        products = []
        for place, slot in enumerate(slots):
            near = slots[place - place % window :][:window]
            product = 1.0
            for states in (layer.keys[row, head], layer.values[row, head]):
                squared = [sum(x * x for x in states[s].tolist()) for s in near]
                product *= squared[near.index(slot)] / sum(squared)
            products.append(product)
        for slot, product in zip(slots, products, strict=True):
            pinned = layer.positions[row, head, slot] < sinks
            expected = math.inf if pinned else product / sum(products)
            assert scores[row, head, slot].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("policy", [LagKV, CUR])
def test_budgets_must_hold_the_sinks(policy):
    with pytest.raises(BudgetError, match=r"budget=6: expected at least 7, for num_sinks=4 and protect_first=0"):
        policy(budget=6).check_clock(64, 0, 3)


def test_partitions_and_neighbours_of_one_token_are_refused():
    with pytest.raises(ConfigError, match="lag=1: expected an integer, 2 or more"):
        LagKV(lag=1)
    with pytest.raises(ConfigError, match="neighbours=1: expected an integer, 2 or more"):
        CUR(neighbours=1)
