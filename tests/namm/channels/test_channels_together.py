"""Channels as a list: what a NAMM reads and scores, parameters in order, standardisation, contracts of combinations."""

import pytest
import torch
from observations import observation

from namm_xmodal import Namm, check_policy
from namm_xmodal.errors import CheckpointError, ConfigError, UnknownNameError
from namm_xmodal.policies.fingerprint import fingerprint
from namm_xmodal.policies.namm import Features, FeatureStatistics, MlpScorer, NammPopulation, make_features
from namm_xmodal.policies.namm.age import age_embedding
from namm_xmodal.policies.namm.channels import CHANNELS, KeyNovelty, Spectrogram
from namm_xmodal.policies.namm.channels.in_context import in_context
from namm_xmodal.policies.protocol import ALL_ROWS, Reads, Tile
from namm_xmodal.policies.state import State

EVERYTHING = tuple(CHANNELS)
IN_CONTEXT = tuple({"channel": name, "standardise": "context"} for name in CHANNELS)
FROZEN = tuple({"channel": name, "standardise": "frozen"} for name in CHANNELS)
COMBINATIONS = {
    "keys": ["spectrogram", "key_novelty"],
    "keys, ctx": [{"channel": "spectrogram", "standardise": "context"}, "key_novelty"],
    "cache only": ["key_novelty", "nearest_key", "value_norm", "relative_age"],
    "last rows only": [{"channel": "recent_attention", "rows": 8}, "unrotated_key_novelty"],
    "two projections of a kind": ["projection", "convolution", "mean_attention"],
    "everything": EVERYTHING,
    "everything in context": IN_CONTEXT,
    "everything frozen": FROZEN,
}


def made(given, seed=0, sigma=0.1, **settings):
    """A random NAMM with statistics that are not the identity."""
    features = make_features(given)
    source = torch.Generator().manual_seed(seed)
    mean, std = torch.rand(2, features.num_frozen, generator=source) * 0.1 + 0.02
    statistics = FeatureStatistics(mean, std, "a test")
    return Namm.untrained("random", sigma=sigma, seed=seed, features=features, statistics=statistics, **settings)


def watched(features, slots=64, seed=0):
    """An observation after random attention to random keys, some slots dead."""
    source = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, 2, 3, slots, 8, generator=source)
    state = State(2, 3, slots, torch.device("cpu"))
    features.start(state)
    logits = torch.randn(2, 3, slots, slots, generator=source) * 2
    hidden = torch.ones(slots, slots, dtype=torch.bool).triu(1)
    features.observe(state, Tile(0, logits.masked_fill(hidden, -torch.inf).softmax(-1), None))
    positions = torch.arange(slots).expand(2, 3, -1)
    dead = torch.rand(2, 3, slots, generator=source) < 0.3
    dead[..., -1] = False
    return observation(state, keys=keys, values=values, positions=positions.masked_fill(dead, -1), seen=slots)


@pytest.mark.parametrize("scorer", [None, MlpScorer()], ids=["bam", "mlp"])
@pytest.mark.parametrize("name", COMBINATIONS)
def test_combinations_of_channels_keep_the_contract(name, scorer):
    check_policy(made(COMBINATIONS[name], scorer=scorer, sigma=0.065))


def test_a_list_of_one_spectrogram_is_the_published_policy():
    old, new = (
        Namm.untrained("random", sigma=0.3),
        Namm.untrained("random", sigma=0.3, features=make_features(["spectrogram"])),
    )
    assert fingerprint(old) == fingerprint(new)
    assert repr(old) == repr(new)
    seen = watched(old.features)
    assert torch.equal(old.score(seen), new.score(seen))


def test_fingerprints_of_older_policies_stay():
    """Recorded at 0b13641, before there were lists."""
    assert fingerprint(Namm.from_pretrained("namm-smollm2")) == "941c7e784c99"
    assert fingerprint(Namm.untrained("zeros")) == "1b2fdf54406c"
    assert fingerprint(Namm.untrained("zeros", features=make_features("projection"))) == "a54728bf700a"


def test_the_scorer_sees_the_age_and_then_every_channel_in_order():
    policy = made(EVERYTHING)
    features, seen = policy.features, watched(policy.features)
    generator = torch.Generator().manual_seed(4)
    own = torch.randn(1, 1, features.num_parameters, generator=generator)
    found = features.inputs(seen, policy.statistics, own)
    frozen, parts = 0, [age_embedding(seen.positions, seen.seen)]
    for channel in features.channels:
        raw = channel.read(seen)
        if channel.standardise == "frozen":
            mean, std = (
                t[frozen : frozen + channel.raw, None] for t in (policy.statistics.mean, policy.statistics.std)
            )
            raw, frozen = (raw - mean) / std, frozen + channel.raw
        else:
            raw = in_context(raw, seen.live)
        parts.append(channel.project(raw, own) if channel.num_parameters else raw)
    assert torch.equal(found, torch.cat(parts, 2))
    assert found.shape == (2, 3, features.num_inputs, 64)
    assert frozen == features.num_frozen


def test_parameters_of_channels_follow_the_scorers():
    policy = made(["key_novelty", "projection"])
    seen, own = watched(policy.features), policy.features.num_parameters
    vector = policy.parameters[None]
    of_scorer, of_channels = vector[..., :-own], vector[..., -own:]
    inputs = policy.features.inputs(seen, policy.statistics, of_channels)
    assert own == 32 * 17
    assert torch.equal(policy.score(seen), policy.scorer.score(inputs, seen.live, of_scorer))


def test_standardised_in_context_is_mean_0_and_deviation_1_of_live_tokens():
    source = torch.Generator().manual_seed(0)
    numbers, live = torch.randn(2, 3, 4, 90, generator=source) * 3 + 7, torch.rand(2, 3, 90, generator=source) < 0.6
    live[1, 1] = False
    live[1, 1, 9] = True
    numbers[0, 0, 2] = 5.0
    numbers[0, 2, 1, 7], live[0, 2, 7] = 1e5, True
    found = in_context(numbers, live)
    for row in range(2):
        for head in range(3):
            alive = live[row, head]
            known = numbers[row, head][:, alive].double()
            expected = (known - known.mean(-1, keepdim=True)) / (known.std(-1, correction=0, keepdim=True) + 1e-4)
            assert torch.allclose(found[row, head][:, alive].double(), expected.clamp(-6, 6), atol=1e-4)
            assert not found[row, head][:, ~alive].any()
    assert found.abs().max() == 6.0
    assert not found[1, 1].any() and not found[0, 0, 2].any(), "a lone token and equal ones are average"


@pytest.mark.parametrize("name", COMBINATIONS)
def test_dead_slots_never_influence_live_scores_of_channels(name):
    policy = made(COMBINATIONS[name])
    seen = watched(policy.features)
    expected = policy.score(seen)[seen.live]
    dead = ~seen.live
    keys, values = (tensor.masked_fill(dead[..., None], 3e3) for tensor in (seen.keys, seen.values))
    for buffer in seen.state._token.values():
        buffer.masked_fill_(dead[:, :, None], 3e3)
    again = observation(seen.state, keys=keys, values=values, positions=seen.positions, seen=seen.seen)
    assert torch.allclose(policy.score(again)[seen.live], expected, rtol=1e-5, atol=1e-6)


def test_what_channels_read_is_what_they_need_together():
    def reads(*given):
        return make_features(list(given)).reads

    assert reads("key_novelty", "relative_age") == Reads()
    assert reads({"channel": "recent_attention", "rows": 4}, "key_novelty") == Reads(rows=4)
    assert reads({"channel": "recent_attention", "rows": 4}, "spectrogram") == Reads(rows=ALL_ROWS)
    assert reads("unrotated_key_novelty") == Reads(rotary=True)
    assert make_features("nearest_key").hop == 1
    assert Features([Spectrogram(n_fft=12, hop=6), CHANNELS["convolution"](n_fft=8, hop=4)]).hop == 12


@pytest.mark.with_gradients
def test_gradients_reach_every_parameter_of_channels():
    policy = made(EVERYTHING)
    seen = watched(policy.features)
    seen.keys.requires_grad_(True)
    vector = policy.parameters.clone().requires_grad_(True)
    with torch.enable_grad():
        scores = policy.score_with(seen, vector[None])
        constants = policy.features.constants(seen, policy.statistics)
        recorded = policy.score_constants(constants, seen.live, vector[None])
        (gradient,) = torch.autograd.grad(scores[seen.live].square().sum(), vector)
    assert not constants.requires_grad
    assert torch.equal(scores, recorded)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.95
    assert seen.keys.grad is None


def test_members_of_a_population_share_what_channels_remember():
    policy, others = made(EVERYTHING), made(EVERYTHING, seed=5)
    population = NammPopulation(torch.cat([others.parameters, policy.parameters]), policy)
    seen = watched(policy.features)
    scores = population.score(seen)
    assert population.reads == policy.reads
    for row, member in enumerate((others, policy)):
        expected = policy.score_with(seen, member.parameters[None])[row]
        assert torch.allclose(scores[row][seen.live[row]], expected[seen.live[row]], atol=1e-5)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ConfigError, r"^\[\]: expected at least one channel"),
        (["spectrogram", "key_novelty", "spectrogram"], ConfigError, "contains the channel spectrogram twice"),
        ("spectrogramm", UnknownNameError, "unknown channel 'spectrogramm': did you mean spectrogram"),
        ([{"channel": "key_noveltyy"}], UnknownNameError, "did you mean key_novelty"),
        ([{"channel": "key_novelty", "rows": 3}], ConfigError, "rows: unknown setting of the channel key_novelty"),
        ([{"channel": "recent_attention", "rows": "3"}], ConfigError, "rows='3': expected a value like 16"),
        ([{"channel": "recent_attention", "rows": True}], ConfigError, "rows=True: expected a value like 16"),
        ([{"channel": "key_novelty", "standardise": "never"}], ConfigError, "standardise='never': expected frozen or"),
        ([{"standardise": "frozen"}], ConfigError, "entry 1: .* has no channel name"),
    ],
)
def test_mistakes_in_a_list_of_channels_are_named(given, error, message):
    with pytest.raises(error, match=message) as caught:
        make_features(given)
    assert "\n" not in str(caught.value)


def test_settings_of_all_channels_reach_those_that_have_them():
    spectrogram, novelty, convolution = make_features(
        ["spectrogram", "key_novelty", {"channel": "convolution", "ema_coefficient": 0.9}], ema_coefficient=0.999
    ).channels
    assert (spectrogram.ema_coefficient, convolution.ema_coefficient) == (0.999, 0.9)
    assert isinstance(novelty, KeyNovelty)


def test_statistics_must_cover_the_frozen_channels():
    with pytest.raises(CheckpointError, match="statistics of 17 numbers: the key_novelty features have 0"):
        Namm.untrained(
            "zeros",
            features=make_features("key_novelty"),
            statistics=FeatureStatistics(torch.zeros(17), torch.ones(17)),
        )
    assert Namm.untrained("zeros", features=make_features("key_novelty")).statistics.source == (
        "none (every channel is standardised in context)"
    )
