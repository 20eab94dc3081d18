"""R-KV: attention against redundancy."""

import math

import pytest
import torch

from namm_xmodal.errors import BudgetError, ConfigError
from namm_xmodal.policies.rkv import RKV, mean_similarity


def softmax(numbers):
    return [math.exp(x) / sum(math.exp(y) for y in numbers) for x in numbers]


def redundancy(keys, threshold):
    """Softmax of the mean similarity, from the definition; keys is a list of lists, oldest first."""
    count = len(keys)
    cosine = [[0.0] * count for _ in range(count)]
    for i in range(count):
        for j in range(count):
            if i != j:
                dot = sum(a * b for a, b in zip(keys[i], keys[j], strict=True))
                cosine[i][j] = dot / math.hypot(*keys[i]) / math.hypot(*keys[j])
        alike = [j for j in range(count) if cosine[i][j] > threshold]
        if alike:
            cosine[i][alike[-1]] = 0.0
    return softmax([sum(cosine[i][j] for i in range(count)) / count for j in range(count)])


def test_rkv(layer):
    window, kernel, mix, threshold = 4, 3, 0.3, 0.2
    policy = RKV(window=window, kernel=kernel, mix=mix, threshold=threshold)
    layer.observe(policy)
    scores = layer.score(policy)
    for row, head, slots in layer.heads():
        keys = layer.keys[row, head].double()
        old = [s for s in slots if layer.positions[row, head, s] < layer.seen - window]
        repeated = dict(zip(slots, redundancy(keys[slots].tolist(), threshold), strict=True))
        votes = [0.0] * len(old)
        for query in range(layer.seen - window, layer.seen):
            logits = [
                max(float(layer.queries[row, h, query].double() @ keys[s]) for h in (2 * head, 2 * head + 1))
                for s in old
            ]
            for place, share in enumerate(softmax([layer.scaling * x for x in logits])):
                votes[place] += share / window
        for place, slot in enumerate(old):
            attention = max(votes[max(0, place - 1) : place + 2])
            expected = mix * attention - (1 - mix) * repeated[slot]
            assert scores[row, head, slot].item() == pytest.approx(expected, abs=1e-6)
        assert all(scores[row, head, s] == math.inf for s in slots if s not in old)


def test_of_three_copies_the_newest_is_least_redundant():
    keys = torch.eye(16)[None, None, :8].clone()  # unlike each other
    keys[:, :, 4], keys[:, :, 6] = keys[:, :, 2], keys[:, :, 2]
    found = mean_similarity(keys, torch.ones(1, 1, 8, dtype=torch.bool), 0.5)[0, 0]
    assert (8 * found).tolist() == [0, 0, 2, 0, 1, 0, 0, 0]


def test_similarities_in_blocks_are_the_same():
    source = torch.Generator().manual_seed(0)
    keys, live = torch.randn(2, 2, 37, 8, generator=source), torch.rand(2, 2, 37, generator=source) < 0.8
    keys = keys.masked_fill(~live[..., None], 0.0)
    whole = mean_similarity(keys, live, 0.1)
    torch.testing.assert_close(mean_similarity(keys, live, 0.1, block=2 * 2 * 37 * 5)[live], whole[live])


def test_rkv_refuses_what_cannot_work():
    with pytest.raises(BudgetError, match=r"budget=8: expected at least 12, for window=8 and protect_first=4"):
        RKV(budget=8).check_clock(64, 4, 1)
    with pytest.raises(ConfigError, match="kernel=4: expected a positive odd number"):
        RKV(kernel=4)
    with pytest.raises(ConfigError, match="mix=2: expected a number, 0 to 1"):
        RKV(mix=2)
    with pytest.raises(ConfigError, match="threshold=-3: expected a number, -1 to 1"):
        RKV(threshold=-3)
