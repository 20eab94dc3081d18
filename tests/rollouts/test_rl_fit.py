"""NAMMs fitted to agents: statistics and thresholds come from episodes that the model plays with everything in memory."""

from dataclasses import replace

import pytest
from evaluations import load, run

from namm_xmodal.errors import DataError
from namm_xmodal.modalities.rl import fit
from namm_xmodal.modalities.rl.loaded_agents import load_agents
from namm_xmodal.modalities.rl.setups import find_setups

QUICK = ("model_seeds=0", "episodes=2", "max_steps=100", "estimation_episodes=2", "dtype=float32", "survivors=false")
OTHERS = ("window", "recency", "random", "l2_norm", "h2o", "tova", "namm", "namm_budget", "namm_untrained")


def settings(folder, *changes):
    removed = f"policies={{{', '.join(f'{label}: null' for label in OTHERS)}}}"
    return load("rl/hopper", folder, *(f"rl.{each}" for each in (*QUICK, removed, *changes)))


@pytest.fixture(scope="module")
def loaded():
    section = settings(None).sections["rl"]
    (found,) = load_agents(section, find_setups(section))
    return found


def test_plain_input_of_an_agent_is_all_that_it_is_given_in_other_episodes(loaded):
    section, seeds = settings(None).sections["rl"], []
    make = loaded.make

    def noting(**options):
        world = make(**options)
        reset = world.reset
        world.reset = lambda *, seed: (seeds.append(seed), reset(seed=seed))[1]
        return world

    inputs = fit.full_memory_inputs(replace(loaded, make=noting), section, lambda step, running: None)
    assert seeds == [fit.CALIBRATION_SEED, fit.CALIBRATION_SEED + 1]
    assert not set(seeds) & {*range(1000, 1002), *range(fit.ESTIMATION_SEED, fit.ESTIMATION_SEED + 2)}
    assert [set(each) for each in inputs] == [{"inputs_embeds"}] * 2
    hidden = loaded.agent_model.model.config.hidden_size
    assert {each["inputs_embeds"].shape for each in inputs} == {(1, 3 * 100 - 1, hidden)}  # the last action is not read


def test_an_agent_is_calibrated_to_the_share_that_was_asked_for(tmp_path):
    spec = "policies.{}={{policy: namm, init: random, seed: 1, calibrated: {}}}"
    records = run(settings(tmp_path, "fit=estimated", spec.format("half", 0.5), spec.format("most", 0.8)))
    kept = {label: [r.kept.fraction for r in records if r.policy == label] for label in ("full", "half", "most")}
    assert set(kept["full"]) == {1.0}
    assert all(0.4 < share < 0.65 for share in kept["half"])
    assert all(0.7 < share < 0.95 for share in kept["most"])
    half = next(record for record in records if record.policy == "half")
    assert half.fingerprint.endswith("+estimated+calibrated:0.5")
    assert half.fit.startswith("estimated on hopper-long/seed-0, 2 episodes")


def test_statistics_of_each_layer_are_another_policy_than_pooled_ones(tmp_path):
    spec = "policies.{0}={{policy: namm, init: random, seed: 1, statistics: {0}}}"
    labels = ("frozen", "estimated", "estimated_by_layer")
    records = {record.policy: record for record in run(settings(tmp_path, "episodes=1", *map(spec.format, labels)))}
    assert records["frozen"].fit == "none (raw features)"
    assert records["estimated_by_layer"].fit.endswith("layer 0")
    assert len({records[label].kept.tokens for label in labels}) == 3
    base = records["frozen"].fingerprint
    assert [records[label].fingerprint for label in labels[1:]] == [f"{base}+estimated", f"{base}+estimated_by_layer"]


def test_no_episode_to_fit_to_is_one_line(loaded):
    def broken(**options):
        raise RuntimeError("no world")

    section = settings(None).sections["rl"]
    with pytest.raises(DataError, match=r"hopper-long/seed-0: no episode with a step in it \(.*no world"):
        fit.full_memory_inputs(replace(loaded, make=broken), section, print)
