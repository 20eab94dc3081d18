"""Lists of channels on the disk: version 1 wherever it can say them, version 2 otherwise, and every mistake in one line."""

import json

import pytest
import torch

from namm_xmodal import Namm
from namm_xmodal.errors import CheckpointError
from namm_xmodal.policies.fingerprint import fingerprint
from namm_xmodal.policies.namm import FeatureStatistics, make_features
from namm_xmodal.policies.namm.channels import CHANNELS

OLD = ["spectrogram", "mean_attention", "projection"]
NEW = {
    "list": ["spectrogram", "key_novelty"],
    "in context": [{"channel": "spectrogram", "standardise": "context"}],
    "one of the new": ["convolution"],
    "no frozen one": ["key_novelty", "nearest_key"],
    "own settings": [{"channel": "recent_attention", "rows": 5, "standardise": "context"}, "value_norm"],
    "everything": list(CHANNELS),
}


def saved(folder, given):
    features = make_features(given)
    statistics = FeatureStatistics(*torch.rand(2, features.num_frozen), source="a test", count=7)
    policy = Namm.untrained("random", features=features, statistics=statistics, threshold=0.5)
    policy.save_pretrained(folder)
    return policy, json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("name", OLD)
def test_what_version_1_can_say_is_saved_in_version_1(tmp_path, name):
    policy, config = saved(tmp_path, [{"channel": name, "ema_coefficient": 0.9}])
    assert config["format_version"] == 1
    assert config["features"] == {"name": name, "n_fft": 32, "hop": 16, "ema_coefficient": 0.9}
    assert fingerprint(Namm.from_pretrained(tmp_path)) == fingerprint(policy)


@pytest.mark.parametrize("name", NEW)
def test_lists_of_channels_are_saved_in_version_2(tmp_path, name):
    policy, config = saved(tmp_path, NEW[name])
    again = Namm.from_pretrained(tmp_path)
    assert config["format_version"] == 2
    assert again.features.entries() == policy.features.entries() == config["features"]
    assert torch.equal(again.parameters, policy.parameters)
    assert torch.equal(again.statistics.mean, policy.statistics.mean)
    assert fingerprint(again) == fingerprint(policy)
    assert repr(again) == repr(policy)


def test_the_shipped_policy_is_a_list_of_one_channel():
    shipped = Namm.from_pretrained("namm-smollm2")
    assert shipped.features.entries() == [
        {"channel": "spectrogram", "standardise": "frozen", "n_fft": 32, "hop": 16, "ema_coefficient": 0.99}
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": [{"channel": "sound"}]}, "unknown channel 'sound': .*; load its plug-in with --plugins"),
        ({"features": [{"channel": "key_novelty"}] * 2}, "features: .*: contains the channel key_novelty twice"),
        ({"features": []}, r"features: \[\]: expected at least one channel"),
        ({"features": {"name": "spectrogram"}}, "features is not a list of channels"),
        ({"features": ["spectrogram"]}, "features is not a list of channels"),
        ({"features": [{"channel": 3}]}, "has no channel name"),
        ({"features": [{"channel": "recent_attention", "rows": 10**12}]}, "rows=1000000000000: expected 1 to 1024"),
        ({"features": [{"channel": "spectrogram", "colour": 1}]}, "colour: unknown setting of the channel spectrogram"),
        ({"features": [{"channel": "spectrogram"}]}, r"expected \(sets, 4172\)"),
        ({"format_version": 1}, "lacks features.name"),
        ({"format_version": 3}, "format version 3, this package reads versions 1 and 2; install"),
        ({"format_version": True}, "format version True, this package reads versions 1 and 2"),
        ({"format_version": 1, "features": {"name": "key_novelty"}}, "unknown features 'key_novelty'; known in format"),
        ({"format_version": 1, "features": {"name": "spectrogram", "hop": "16"}}, "features 'spectrogram': hop='16'"),
    ],
)
def test_damaged_lists_of_channels_are_refused_in_one_line(tmp_path, changes, message):
    _, config = saved(tmp_path, ["spectrogram", "key_novelty"])
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(CheckpointError, match=message) as caught:
        Namm.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)
