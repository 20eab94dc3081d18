"""Policies that look at attention rows: H2O, TOVA, SnapKV."""

import pytest
import torch

from namm_xmodal.errors import BudgetError, ConfigError
from namm_xmodal.policies.h2o import H2O, H2ONormalised
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.policies.tova import TOVA

INFINITY = float("inf")


@pytest.mark.parametrize("normalise", [False, True])
def test_h2o(layer, normalise):
    policy = H2O(budget=6, normalise=normalise)
    layer.observe(policy)
    rows, scores = layer.rows().double(), layer.score(policy)
    for row, head, slots in layer.heads():
        for slot in slots:
            position = layer.positions[row, head, slot].item()
            expected = sum(rows[row, head, q, slot].item() for q in range(layer.seen))
            if normalise:
                expected /= sum(1 for q in range(layer.seen) if q >= position)
            if position >= layer.seen - 3:  # half of the budget
                expected = INFINITY
            assert scores[row, head, slot].item() == pytest.approx(expected, rel=1e-5)


def test_h2o_keeps_half_recent_and_half_heavy(layer):
    policy = H2O(budget=6, recent_fraction=0.5)
    layer.observe(policy)
    received = layer.rows().sum(2)
    kept = layer.kept(policy)
    for row, head, slots in layer.heads():
        positions = layer.positions[row, head]
        recent = [s for s in slots if positions[s] >= layer.seen - 3]
        others = sorted((s for s in slots if s not in recent), key=lambda s: -received[row, head, s].item())
        chosen = sorted(recent + others[: 6 - len(recent)])
        assert kept[row][head] == positions[chosen].tolist()


def test_h2o_normalised_is_h2o_with_a_flag(layer):
    layer.observe(H2O())
    assert torch.equal(layer.score(H2ONormalised()), layer.score(H2O(normalise=True)))
    with pytest.raises(ConfigError, match=r"recent_fraction=1.5: expected a number, 0 to 1"):
        H2O(recent_fraction=1.5)


def test_tova_is_the_last_row_averaged_over_heads(layer):
    policy = TOVA()
    layer.observe(policy)
    last, scores = layer.rows()[:, :, -1], layer.score(policy)
    for row, head, slots in layer.heads():
        for slot in slots:
            position = layer.positions[row, head, slot].item()
            given = [  # heads may hold the token in different slots, or not at all
                last[row, h, s].item()
                for h in range(2)
                for s in range(layer.positions.shape[2])
                if layer.positions[row, h, s] == position
            ]
            assert scores[row, head, slot].item() == pytest.approx(sum(given) / 2, rel=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_snapkv(layer, kernel):
    window = 4
    policy = SnapKV(window=window, kernel=kernel)
    layer.observe(policy)
    rows, scores = layer.rows(), layer.score(policy)
    for row, head, slots in layer.heads():
        old = [s for s in slots if layer.positions[row, head, s] < layer.seen - window]
        votes = [rows[row, head, layer.seen - window :, s].mean().item() for s in old]
        for place, slot in enumerate(old):
            near = range(place - kernel // 2, place + kernel // 2 + 1)
            expected = sum(votes[i] for i in near if 0 <= i < len(votes)) / kernel
            assert scores[row, head, slot].item() == pytest.approx(expected, rel=1e-5)
        assert all(scores[row, head, s] == INFINITY for s in slots if s not in old)


def test_snapkv_on_a_text_shorter_than_its_window(layer):
    policy = SnapKV(window=32)
    layer.observe(policy)
    assert bool((layer.score(policy)[layer.live] == INFINITY).all())


def test_snapkv_refuses_what_cannot_work():
    with pytest.raises(BudgetError, match=r"budget=20: expected at least 36, for window=32 and protect_first=4"):
        SnapKV(budget=20).check_clock(64, 4, 1)
    with pytest.raises(ConfigError, match="kernel=4: expected a positive odd number"):
        SnapKV(kernel=4)
    with pytest.raises(ConfigError, match="window=0"):
        SnapKV(window=0)


@pytest.mark.parametrize("policy", [H2O(budget=6), TOVA(), SnapKV(window=4, kernel=3)], ids=lambda p: type(p).__name__)
def test_tiles_of_any_size_leave_the_same_state(layer, policy):
    states = {}
    for tile in (1, 7, 16, layer.seen):
        layer.observe(policy, tile)
        states[tile] = {name: layer.state.token(name).clone() for name in layer.state._token}
    for tile, buffers in states.items():
        for name, buffer in buffers.items():
            torch.testing.assert_close(buffer, states[layer.seen][name], rtol=1e-5, atol=1e-6, msg=f"{name} by {tile}")
