"""Policies that look at keys: L2 norm, KeyDiff and the geometry of keys and values."""

import math

import pytest
import torch

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.geometry import Geometry
from namm_xmodal.policies.keydiff import KeyDiff
from namm_xmodal.policies.l2_norm import L2Norm
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
