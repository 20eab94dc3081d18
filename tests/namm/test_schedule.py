"""Thresholds by tokens seen: what they say, what they do to a cache, how they are saved and found."""

import json
from dataclasses import replace

import pytest
import torch
from families import tiny

from namm_xmodal import Namm, pruned
from namm_xmodal.errors import CheckpointError, ConfigError, DataError
from namm_xmodal.memory.calibration import calibrate
from namm_xmodal.policies.fingerprint import fingerprint
from namm_xmodal.policies.namm import FeatureStatistics, ThresholdSchedule

STATISTICS = FeatureStatistics(torch.full((17,), 0.01), torch.full((17,), 0.02), "a test")


@pytest.fixture
def policy():
    return Namm.untrained("random", sigma=0.3, seed=5, statistics=STATISTICS)


def sizes(model, policy, ids):
    """Kept fraction after each update of 16 tokens."""
    found = []
    for length in range(16, ids.shape[1] + 1, 16):
        with torch.no_grad(), pruned(model, policy, update_every=16, protect_first=1, protect_recent=2) as memory:
            model(ids[:, :length], past_key_values=memory.cache())
            found.append(memory.report().kept_fraction)
    return found


def test_between_two_knots_it_is_linear_in_the_logarithm():
    schedule = ThresholdSchedule.of({512: -0.4, 128: 0.2})
    assert [schedule.at(seen) for seen in (1, 128, 256, 512, 9999)] == pytest.approx([0.2, 0.2, -0.1, -0.4, -0.4])
    assert ThresholdSchedule().at(77) == 0.0


@pytest.mark.parametrize(
    ("seen", "offset", "said"),
    [
        ((128,), (), "1 token counts for 0 offsets"),
        ((256, 128), (0.0, 0.0), "ascending order"),
        ((0,), (0.0,), "positive token counts"),
        ((128,), (float("nan"),), "finite numbers"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(seen, offset, said):
    with pytest.raises(ConfigError, match=said):
        ThresholdSchedule(seen, offset)


def test_one_knot_is_the_same_as_a_threshold(policy):
    model, ids = tiny("llama", torch.float64), torch.arange(64)[None] % 50
    moved = replace(policy, schedule=ThresholdSchedule((32,), (-0.1,)))
    assert sizes(model, moved, ids) == sizes(model, replace(policy, threshold=-0.1), ids)
    assert fingerprint(moved) != fingerprint(policy)
    assert "scheduled up to 32 tokens" in repr(moved)


def test_it_is_saved_and_a_damaged_one_is_said(policy, tmp_path):
    schedule = ThresholdSchedule((128, 512), (0.25, -0.5))
    replace(policy, schedule=schedule).save_pretrained(tmp_path)
    assert Namm.from_pretrained(tmp_path).schedule == schedule
    assert Namm.from_pretrained(tmp_path, schedule=ThresholdSchedule()).threshold_after(512) == 0.0
    config = json.loads((tmp_path / "config.json").read_text())
    del config["schedule"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert Namm.from_pretrained(tmp_path).schedule == ThresholdSchedule()  # as written before there were schedules
    (tmp_path / "config.json").write_text(json.dumps(config | {"schedule": {"seen": [3, 2], "offset": [0, 0]}}))
    with pytest.raises(CheckpointError, match=r"schedule cannot be read .* ascending"):
        Namm.from_pretrained(tmp_path)


@pytest.mark.parametrize("budget", [0.3, 0.6])
def test_calibrated_it_keeps_what_was_asked_for_at_every_update(policy, budget):
    model, ids = tiny("llama", torch.float64), torch.randint(0, 50, (1, 96), generator=torch.Generator().manual_seed(0))
    found = calibrate(
        model,
        [{"input_ids": ids}],
        policy,
        budget=budget,
        update_every=16,
        protect_first=1,
        protect_recent=2,
    )
    assert sorted(found.kept) == [16, 32, 48, 64, 80, 96]
    measured = sizes(model, replace(policy, schedule=found.schedule), ids)
    assert measured == pytest.approx(list(found.kept.values()), abs=1e-12)
    assert measured == pytest.approx([budget] * 6, abs=0.03)
    before = sizes(model, policy, ids)
    assert max(abs(kept - budget) for kept in before) > 0.1


def test_a_floor_keeps_short_texts_whole(policy):
    model, ids = tiny("llama", torch.float64), torch.arange(64)[None] % 50
    found = calibrate(model, [{"input_ids": ids}], policy, budget=0.25, floor=16, update_every=16)
    assert found.kept[16] == 1.0
    assert found.kept[64] == pytest.approx(0.25, abs=0.02)


def test_impossible_requests_are_refused(policy):
    model, ids = tiny("llama", torch.float64), torch.arange(24)[None]
    with pytest.raises(ConfigError, match=r"budget=1\.5: expected a share"):
        calibrate(model, [{"input_ids": ids}], policy, budget=1.5, update_every=16)
    with pytest.raises(DataError, match="no input is long enough for an update"):
        calibrate(model, [{"input_ids": ids}], policy, budget=0.5, update_every=32)
