"""The share that is held at any length: exact, per layer, row by row, saved, and nothing else changed."""

import json
import math
from dataclasses import replace

import pytest
import torch
from families import in_chunks, padded_batch, tiny

from namm_xmodal import Namm, check_policy, pruned
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.config.policies import build_policy
from namm_xmodal.errors import CheckpointError, ConfigError
from namm_xmodal.memory.calibration import calibrate
from namm_xmodal.policies.fingerprint import fingerprint
from namm_xmodal.policies.namm import FeatureStatistics, NammPopulation, ThresholdSchedule
from namm_xmodal.policies.protocol import Candidates
from namm_xmodal.types import LayerShape

STATISTICS = FeatureStatistics(torch.full((17,), 0.01), torch.full((17,), 0.02), "a test")
POLICY = Namm.untrained("random", sigma=0.3, seed=5, statistics=STATISTICS)
HELD = replace(POLICY, schedule=ThresholdSchedule((32,), (0.05,), (0.2, 0.5, 0.35)))
PROTECTED = {"update_every": 16, "protect_first": 1, "protect_recent": 2}


def read(model, policy, batch, size=512):
    """Logits, and kept tokens by layer, row and head."""
    with torch.no_grad(), pruned(model, policy, **PROTECTED) as memory:
        logits = in_chunks(model, batch, memory.cache(), size)
        return logits, memory.report().live


def random_ids(length, seed):
    return torch.randint(3, 97, (1, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("budget", [0.25, 0.5])
def test_far_beyond_its_thresholds_a_calibrated_policy_keeps_what_was_asked_for(family, budget):
    model = tiny(family)
    found = calibrate(
        model, [{"input_ids": random_ids(64, seed)} for seed in range(2)], POLICY, budget=budget, **PROTECTED
    )
    assert len(found.schedule.beyond) == 3
    assert sum(found.schedule.beyond) / 3 == pytest.approx(budget)
    assert len({round(share, 3) for share in found.schedule.beyond}) > 1, (
        "layers must differ for the test to say anything"
    )
    for length in (128, 256):
        batch = {"input_ids": random_ids(length, 7)}
        _, live = read(model, replace(POLICY, schedule=found.schedule), batch)
        shares = [sum(layer[0]) / length / len(layer[0]) for layer in live]
        assert shares == pytest.approx(found.schedule.beyond, abs=0.01)
        assert len({kept for layer in live for kept in layer[0]}) > 3, "heads must stay ragged"
    _, live = read(model, replace(POLICY, schedule=replace(found.schedule, beyond=())), batch)
    assert abs(sum(sum(layer[0]) for layer in live) / 256 / 3 / len(live[0][0]) - budget) > 0.1 * budget
    last = calibrate(model, [{"input_ids": random_ids(64, 0)}], POLICY, budget=budget, hold=False, **PROTECTED)
    assert last.schedule.beyond == ()


def test_thresholds_replace_the_share_of_a_head_and_leave_an_upper_bound():
    """A policy of `gradient.selection: head` that is calibrated to more than it kept keeps more."""
    model, texts = tiny("llama"), [{"input_ids": random_ids(64, seed)} for seed in range(2)]
    shares = replace(POLICY, threshold=-math.inf, max_tokens=0.25)
    found = calibrate(model, texts, shares, budget=0.5, **PROTECTED)
    assert found == calibrate(model, texts, POLICY, budget=0.5, **PROTECTED)
    made = shares.with_thresholds(found.schedule)
    assert (made.threshold, made.max_tokens) == (0.0, None)
    assert replace(POLICY, max_tokens=40).with_thresholds(found.schedule).max_tokens == 40


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
def test_a_pruned_cache_is_masked_attention_whatever_the_chunks(family):
    model, batch = tiny(family, torch.float64), padded_batch()
    kept = []
    for size in (1, 7, 33, 100):
        with torch.no_grad(), pruned(model, HELD, **PROTECTED) as memory:
            cache = recording(memory.cache())
            logits = in_chunks(model, batch, cache, size)
        with torch.no_grad(), masked_attention(model, visibility_of(cache)):
            expected = model(**batch, use_cache=False).logits
        real = batch["attention_mask"].bool()
        assert (logits - expected)[real].abs().max() < 1e-10 * expected.abs().max()
        seen = real[:, None, :, None] & torch.ones(100, 100, dtype=torch.bool).tril()
        kept.append([layer & seen for layer in visibility_of(cache)])
    for others in kept[1:]:
        assert all(torch.equal(one, other) for one, other in zip(kept[0], others, strict=True))


def test_rows_of_a_batch_are_the_rows_alone():
    model, batch = tiny("llama", torch.float64), padded_batch(rows=3)
    logits, live = read(model, HELD, batch)
    for row in range(3):
        start = 13 * row
        expected, alone = read(model, HELD, {"input_ids": batch["input_ids"][row : row + 1, start:]})
        assert (logits[row, start:] - expected[0]).abs().max() < 1e-10
        assert [layer[row] for layer in live] == [layer[0] for layer in alone]


def test_members_of_a_population_hold_it_too():
    model, ids = tiny("llama", torch.float64), random_ids(100, 3)
    vectors = torch.randn(2, 4172, generator=torch.Generator().manual_seed(2)) * 0.3
    _, live = read(model, NammPopulation(vectors, HELD), {"input_ids": ids.repeat(2, 1)})
    for row in range(2):
        _, alone = read(model, replace(HELD, parameters=vectors[row : row + 1]), {"input_ids": ids})
        assert [layer[row] for layer in live] == [layer[0] for layer in alone]


def test_the_choice_is_the_best_of_the_layer_and_protected_tokens_count():
    generator = torch.Generator().manual_seed(0)
    scores, live = torch.randn(2, 3, 40, generator=generator), torch.rand(2, 3, 40, generator=generator) < 0.8
    protected = live & (torch.arange(40) >= 37)
    candidates = Candidates(live, protected, 64, LayerShape(1, 3, 6, 3, 8))
    keep = HELD.keep(scores, candidates)
    for row in range(2):
        free = sorted(
            (-float(scores[row, head, slot]), head, slot) for head, slot in (live & ~protected)[row].nonzero().tolist()
        )
        best = {(head, slot) for _, head, slot in free[: round(0.5 * 64 * 3) - int(protected[row].sum())]}
        wanted = best | {tuple(each) for each in protected[row].nonzero().tolist()}
        assert {tuple(each) for each in keep[row].nonzero().tolist()} == wanted


@pytest.mark.parametrize("settings", [{}, {"max_tokens": 20}, {"threshold": -float("inf"), "max_tokens": 0.3}])
def test_the_contract_holds(settings):
    check_policy(Namm.untrained("random", schedule=HELD.schedule, **settings))


def test_a_cap_and_an_infinite_threshold_decide_as_before():
    model, batch = tiny("llama"), {"input_ids": random_ids(128, 1)}
    _, live = read(model, replace(HELD, max_tokens=11), batch)
    assert max(kept for layer in live for kept in layer[0]) == 11
    _, live = read(model, replace(HELD, threshold=-float("inf")), batch)
    assert {kept for layer in live for kept in layer[0]} == {128}


def test_without_a_schedule_the_share_holds_from_the_first_update():
    _, live = read(tiny("llama"), POLICY.holding(0.25), {"input_ids": random_ids(48, 1)})
    assert [sum(layer[0]) for layer in live] == [24] * 3  # of 2 heads
    assert POLICY.holding(0.25).holding("last").schedule == ThresholdSchedule()


def test_it_is_saved_and_older_versions_refuse_the_file(tmp_path):
    HELD.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["format_version"] == 2 and saved["schedule"]["beyond"] == [0.2, 0.5, 0.35]
    loaded = Namm.from_pretrained(tmp_path)
    assert loaded.schedule == HELD.schedule and fingerprint(loaded) == fingerprint(HELD)
    assert "scheduled up to 32 tokens, 35% beyond" in repr(loaded)
    assert Namm.from_pretrained(tmp_path, beyond="last").schedule == replace(HELD.schedule, beyond=())
    assert Namm.from_pretrained(tmp_path, beyond=0.4).schedule.beyond == (0.4,)
    (tmp_path / "config.json").write_text(json.dumps(saved | {"schedule": saved["schedule"] | {"beyond": [2]}}))
    with pytest.raises(CheckpointError, match=r"schedule cannot be read .*shares in \(0, 1\]"):
        Namm.from_pretrained(tmp_path)


def test_a_policy_without_it_is_what_it_was(tmp_path):
    POLICY.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["format_version"] == 1 and "beyond" not in saved["schedule"]
    assert Namm.from_pretrained("namm-smollm2").schedule.beyond == ()
    assert fingerprint(Namm.untrained("zeros")) == "1b2fdf54406c"  # as before there was a `beyond`
    assert fingerprint(HELD) != fingerprint(HELD.holding("last"))


def test_what_cannot_be_held_is_refused():
    with pytest.raises(ConfigError, match=r"beyond=\[0\.2, 1\.5\]: expected shares in \(0, 1\]"):
        POLICY.holding([0.2, 1.5])
    with pytest.raises(ConfigError, match="beyond='hold': expected a share such as"):
        POLICY.holding("hold")
    with pytest.raises(CheckpointError, match=r"has shares for 2 layers, but this model has 3; calibrate"):
        read(tiny("llama"), POLICY.holding([0.2, 0.3]), {"input_ids": random_ids(20, 0)})


def test_a_configuration_may_set_it():
    shipped = {"policy": "namm", "path": "namm-smollm2"}
    assert build_policy({**shipped, "beyond": 0.33}).schedule.beyond == (0.33,)
    assert build_policy({**shipped, "beyond": "last"}).schedule == build_policy(shipped).schedule
    assert build_policy({"policy": "namm", "init": "random", "beyond": 0.5}).schedule.beyond == (0.5,)
    for wrong, said in (
        ({"beyond": 1.5}, r"policy\.beyond: 1\.5: expected a share in \(0, 1\]"),
        ({"beyond": "hold"}, r"policy\.beyond: 'hold': expected"),
        ({"beyond": 0.3, "calibrated": 0.3}, "beyond is also given; remove one"),
    ):
        with pytest.raises(ConfigError, match=said):
            build_policy({**shipped, **wrong}, calibrates=True)
