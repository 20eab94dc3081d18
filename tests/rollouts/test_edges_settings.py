"""Rows of a rollout that cannot hold what they say are refused before a model is loaded, by the dry run as well."""

import pytest
from typer.testing import CliRunner

from namm_xmodal import Namm
from namm_xmodal.cli.app import app
from namm_xmodal.config import packaged_configs
from namm_xmodal.modalities.rl import loaded_agents
from namm_xmodal.policies.namm import store


def command(*arguments):
    return CliRunner().invoke(app, ["rollout", *map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture(autouse=True)
def evolved(tmp_path, monkeypatch):
    Namm.untrained("random", sigma=0.3, seed=5).save_pretrained(tmp_path / "shipped" / "namm-smollm2")
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")


@pytest.mark.parametrize(
    ("track", "change", "said"),
    [
        ("tmaze", "update_every=192", "an episode of namm_xmodal/TMaze-v0 has 182 tokens, shorter than update_every"),
        ("tmaze", "update_every=1000000000", "shorter than update_every=1000000000"),
        ("hopper", "update_every=3200", "an episode of Hopper-v5 has 2999 tokens, shorter than update_every"),
        ("demo", "max_steps=12", "an episode of Hopper-v5 has 35 tokens, shorter than update_every=48"),
        ("tmaze", "protect_recent=1000", "budgets: 24: below protect_first + protect_recent"),
        (
            "tmaze",
            "policies={recency: {budget: 0.1}, h2o: {budget: 0.02}}",
            "policies.h2o: protect_first + protect_recent",
        ),
        ("tmaze", "budgets=[1000000000]", "policies.recency: budget 1000000000: has no effect"),
        ("tmaze", "budgets=[176]", "policies.recency: budget 176: has no effect"),
        ("tmaze", "policies.namm_budget.budget=[1000000]", "policies.namm_budget: budget 1000000: has no effect"),
        ("tmaze", "policies.window.steps=61", "policies.window.steps: 61: the window covers everything"),
        (
            "hopper",
            "policies.window.steps=100000",
            "policies.window.steps: 100000: the window covers everything",
        ),
        (
            "paper",
            "within=3000",
            "within: 3000: expected at least protect_first + protect_recent = 3 tokens, and fewer",
        ),
        ("paper", "within=2", "within: 2: expected at least protect_first + protect_recent = 3 tokens"),
        (
            "paper",
            "policies.fifo.budget=61",
            "policies.fifo: budget 61: has no effect, since no policy keeps more than",
        ),
        ("hopper", "environment=Hoper-v5", "environment 'Hoper-v5': cannot be created"),
        (
            "hopper",
            "environment=HalfCheetah-v5",
            "states (17,) and actions (6,), but the model hopper-long/seed-0 has (11,)",
        ),
        ("hopper", "model=hoper", "hoper: no such folder, and not a hub id"),
        ("hopper", "score=dataset", "dataset: missing"),
    ],
)
def test_a_real_run_and_a_dry_one_refuse_the_same(track, change, said, tmp_path, monkeypatch):
    monkeypatch.setattr(loaded_agents, "load_checkpoint", None)  # loading a model would fail
    arguments = (f"rl/{track}", "--set", f"rl.{change}", "--set", "rl.model_seeds=0", "--output", tmp_path / "out")
    dry, real = command(*arguments, "--dry-run"), command(*arguments)
    assert dry.exit_code == real.exit_code == 2, (dry.output, dry.exception)
    assert said in dry.stderr
    assert dry.stderr == real.stderr
    assert len(dry.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_statistics_and_scores_that_are_not_there_are_found_by_the_dry_run(tmp_path):
    (tmp_path / "short.json").write_text('{"mean": [0, 0], "std": [1, 1]}')
    for change, said in (
        (
            f"state_statistics: {tmp_path}/short.json",
            "state statistics of length 2, but this model has states of 11 numbers",
        ),
        ("score: dataset, dataset: no/such-v0", "no/such-v0"),
    ):
        found = command("rl/hopper", "--set", f"rl={{{change}}}", "--dry-run")
        assert found.exit_code == 2 and said in found.stderr


def test_a_model_of_the_hub_is_checked_once_it_is_there(monkeypatch):
    found = command("rl/d4rl", "--dry-run", "--set", "rl.model=nobody/decision-transformer-gym-hopper-medium")
    assert found.exit_code == 0, found.output
    assert "is not on this machine yet; it is checked after it is downloaded" in found.stderr


OFFLINE = [
    name for name in packaged_configs() if name.startswith("rl/") and name not in ("rl/hopper_positions", "rl/d4rl")
]


@pytest.mark.parametrize("name", OFFLINE)
def test_every_shipped_track_passes_its_dry_run(name):
    assert command(name, "--dry-run").exit_code == 0
