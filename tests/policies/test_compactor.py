"""Compactor: leverage of keys and attention from both sides."""

import math

import numpy as np
import pytest

from namm_xmodal.errors import BudgetError, ConfigError
from namm_xmodal.policies.compactor import RIDGE, Compactor


def leverage(keys):
    """Diagonal of X (X^T X + ridge)^-1 X^T for the centred keys, by the whole matrix."""
    centred = keys - keys.mean(0)
    inverse = np.linalg.inv(centred.T @ centred + RIDGE * np.eye(keys.shape[1]))
    return np.diag(centred @ inverse @ centred.T)


def attention(keys, values, queries, chunk):
    """Attention received within chunks, weighted by value lengths and averaged over three neighbours."""
    received = np.zeros(len(keys))
    for start in range(0, len(keys), chunk):
        logits = queries @ keys[start : start + chunk].T  # (queries of all heads of the group, chunk)
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        received[start : start + chunk] = shares.sum(0) / 2  # two query heads share the kv head
    weighted = received * np.linalg.norm(values, axis=-1)
    padded = np.pad(weighted, 1)
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


@pytest.mark.parametrize(("blending", "weight"), [(0.35, 0.35), (None, 1 - 5 / 20)])
def test_compactor(layer, blending, weight):
    sinks, recent, chunk = 2, 3, 6
    policy = Compactor(num_sinks=sinks, recent=recent, chunk=chunk, blending=blending, budget=5)
    layer.observe(policy)
    scores = layer.score(policy)
    newest = range(layer.seen - chunk, layer.seen - recent)
    for row in range(2):
        parts, places = [[], []], []
        for other, head, slots in layer.heads():
            position = layer.positions[row, head]
            if other != row:
                continue
            old = [s for s in slots if sinks <= position[s] < layer.seen - recent]
            keys, values = (t[row, head, old].double().numpy() for t in (layer.keys, layer.values))
            queries = layer.queries[row, 2 * head : 2 * head + 2][:, list(newest)].double().flatten(0, 1).numpy()
            parts[0].append(leverage(keys))
            parts[1].append(attention(keys, values, queries, chunk))
            places += [(head, s) for s in old]
            assert all(scores[row, head, s] == math.inf for s in slots if s not in old)
        both = [np.concatenate(part) for part in parts]
        both = [(part - part.mean()) / part.std(ddof=1) for part in both]
        found = [scores[row, head, s].item() for head, s in places]
        assert found == pytest.approx(list(weight * both[0] + both[1]), abs=1e-4)


def test_a_key_that_no_other_spans_has_the_highest_leverage(layer):
    layer.keys = layer.keys.clone()
    layer.keys[..., -1] = 0
    for row, head, slots in layer.heads():
        layer.keys[row, head, slots[3], -1] = 5.0
    policy = Compactor(num_sinks=0, recent=0, blending=100.0)
    layer.observe(policy)
    scores = layer.score(policy)
    for row, head, slots in layer.heads():
        assert max(slots, key=lambda s: scores[row, head, s]) == slots[3]


def test_compactor_refuses_what_cannot_work():
    with pytest.raises(BudgetError, match=r"budget=11: expected at least 12, for num_sinks=8 and recent=4"):
        Compactor(budget=11).check_clock(64, 0, 1)
    with pytest.raises(ConfigError, match="blending=-1: expected a number, 0 or more"):
        Compactor(blending=-1)
    with pytest.raises(ConfigError, match="chunk=0"):
        Compactor(chunk=0)
