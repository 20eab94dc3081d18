"""A start from weights of channels: the score is their sum, in any order of channels, and mistakes are one line."""

import pytest
import torch
from observations import observation

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm import MlpScorer, Namm, linear_start, make_features

CHANNELS = ["spectrogram", "key_novelty", "nearest_key", "value_norm", "projection"]
WEIGHTS = {"key_novelty": 0.4, "nearest_key": -0.4, "value_norm": 0.3}


def template(channels, **settings):
    return Namm.untrained("zeros", features=make_features(channels), **settings)


def seen(policy):
    generator = torch.Generator().manual_seed(0)
    keys, values = torch.randn(2, 1, 2, 64, 8, generator=generator)
    return observation(keys=keys, values=values)


@pytest.mark.parametrize("channels", [CHANNELS[1:4], CHANNELS[3:0:-1]])
def test_the_score_is_the_weighted_sum_of_the_channels(channels):
    policy = template(channels)
    vector = torch.from_numpy(linear_start(policy, WEIGHTS, 1e-12, 0)).float()
    given = seen(policy)
    inputs = policy.features.inputs(given, policy.statistics, vector[None, None, :0])
    places = [name for name, each in zip(channels, policy.features.channels, strict=True) for _ in range(each.outputs)]
    weights = torch.tensor([0.0] * 8 + [WEIGHTS[name] for name in places])  # the age has none
    expected = torch.einsum("bhcs,c->bhs", inputs, weights)
    found = policy.score_with(given, vector[None, None])
    assert torch.allclose(found, expected, atol=1e-6)
    noisy = torch.from_numpy(linear_start(policy, WEIGHTS, 0.03, 0)).float()
    ranks = [each[0, 0].argsort().argsort().float() for each in (policy.score_with(given, noisy[None, None]), expected)]
    assert torch.corrcoef(torch.stack(ranks))[0, 1] > 0.9


def test_everything_else_is_small_and_of_the_seed():
    policy = template(CHANNELS)
    first, again, other = (linear_start(policy, WEIGHTS, 0.03, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    large = abs(first) > 0.2
    assert sorted(first[large]) == [-0.4, -0.4, 0.3, 0.4]
    assert first[~large].std() == pytest.approx(0.03, rel=0.05)
    assert (first != other).sum() == len(first) - 4


@pytest.mark.parametrize(
    ("weights", "settings", "message"),
    [
        ({"recency": 1.0}, {}, "recency: not among the features spectrogram, key_novelty"),
        ({"projection": 1.0}, {}, "projection: its output is learnt"),
        ({}, {}, "expected at least one channel"),
        (WEIGHTS, {"scorer": MlpScorer()}, "set scorer: bam"),
    ],
)
def test_mistakes_are_one_line(weights, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        linear_start(template(CHANNELS, **settings), weights, 0.03, 0)
    assert "\n" not in str(caught.value)
