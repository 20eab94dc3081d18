"""Expected attention against explicit rotation matrices, and its limits."""

import pytest
import torch

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.expected_attention import ExpectedAttention
from namm_xmodal.policies.rotation import rotate, unrotate

FREQUENCIES = torch.tensor([1.0, 0.2, 0.05], dtype=torch.float64)  # 6 of 8 dimensions are turned


def angles(positions, neighbours):
    angle = positions[:, None].double() * FREQUENCIES
    return angle.repeat_interleave(2, 1) if neighbours else angle.repeat(1, 2)


def tables(neighbours, factor=1.0):
    return lambda positions: (
        angles(positions, neighbours).cos() * factor,
        angles(positions, neighbours).sin() * factor,
    )


def matrix(position, neighbours, width=8):
    """The rotation at a position, entry by entry."""
    turn = torch.eye(width, dtype=torch.float64)
    for i, frequency in enumerate(FREQUENCIES.tolist()):
        a, b = (2 * i, 2 * i + 1) if neighbours else (i, i + 3)
        angle = torch.tensor(position * frequency, dtype=torch.float64)
        turn[a, a] = turn[b, b] = angle.cos()
        turn[a, b], turn[b, a] = -angle.sin(), angle.sin()
    return turn


def by_hand(layer, policy, neighbours):
    """The formula of the docstring in float64; `neighbours` is None without rotary positions."""

    def turn(position):
        return torch.eye(8, dtype=torch.float64) if neighbours is None else matrix(position, neighbours)

    future = torch.stack([turn(layer.seen + j) for j in range(policy.n_future)]).mean(0)
    scores = torch.zeros(layer.positions.shape, dtype=torch.float64)
    start = max(policy.n_sink, layer.seen - policy.n_queries)
    for row, head, slots in layer.heads():
        candidates = [s for s in slots if layer.positions[row, head, s] >= policy.n_sink]
        keys = layer.keys[row, head, candidates].double()
        weights = torch.zeros(len(candidates), dtype=torch.float64)
        for query_head in (2 * head, 2 * head + 1):
            queries = layer.queries[row, query_head].double()
            queries = torch.stack([turn(p).T @ queries[p] for p in range(start, layer.seen)])
            mean = future @ queries.mean(0)
            logits = layer.scaling * keys @ mean
            if policy.use_covariance:
                covariance = future @ torch.cov(queries.T, correction=0) @ future.T
                logits += layer.scaling**2 / 2 * torch.stack([k @ covariance @ k for k in keys])
            weights += logits.softmax(0) / 2
        if policy.use_value_norm:
            weights = (weights + policy.eps) * layer.values[row, head, candidates].double().norm(dim=-1)
        scores[row, head, slots] = torch.inf
        scores[row, head, candidates] = weights
    return scores


@pytest.mark.parametrize("neighbours", [None, False, True], ids=["no rotary", "halves", "neighbours"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"use_covariance": False}, {"use_value_norm": False}, {"eps": 0.02, "n_queries": 7}, {"n_sink": 0}],
    ids=str,
)
def test_the_formula(layer, settings, neighbours):
    policy = ExpectedAttention(n_future=24, **settings)
    layer.rotary = None if neighbours is None else tables(neighbours)
    layer.observe(policy)
    torch.testing.assert_close(layer.score(policy).double(), by_hand(layer, policy, neighbours), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("neighbours", [False, True])
@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_rotation_and_back(neighbours, factor):
    positions = torch.arange(40)
    cosines, sines = tables(neighbours, factor)(positions)
    vectors = torch.randn(2, 3, 40, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([vectors[:, :, p] @ matrix(p, neighbours).T for p in range(40)], 2)
    expected[..., :6] *= factor
    torch.testing.assert_close(rotate(vectors, cosines, sines), expected)
    torch.testing.assert_close(unrotate(expected, cosines, sines), vectors)


def test_a_head_that_holds_only_sinks(layer):
    policy = ExpectedAttention(n_sink=layer.seen)
    layer.observe(policy)
    assert bool((layer.score(policy)[layer.live] == float("inf")).all())


def test_bad_settings_are_refused():
    for name, value in (("n_future", 0), ("n_sink", -1), ("n_queries", 0), ("eps", -0.1)):
        with pytest.raises(ConfigError, match=f"{name}={value}"):
            ExpectedAttention(**{name: value})
