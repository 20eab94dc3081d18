"""Policies that look at keys: L2 norm and KeyDiff."""

import math

import pytest
import torch

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.keydiff import KeyDiff
from namm_xmodal.policies.l2_norm import L2Norm


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
