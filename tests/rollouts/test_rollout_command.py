"""`namm-xmodal rollout`: tables from a clean clone, episode by episode on the disk; each mistake one line."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from namm_xmodal import Namm
from namm_xmodal.cli.app import app
from namm_xmodal.config import load_rollout_config, packaged_configs
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.errors import DataError
from namm_xmodal.policies.namm import store

TRACKS = [name for name in packaged_configs() if name.startswith("rl/")]
QUICK = [
    "--set=model_seeds=0",
    "--set=environment_options.length=20",
    "--set=episodes=2",
    "--set=budgets=[9]",
    "--set=estimation_episodes=1",
    "--set=policies={window: null, random: null, l2_norm: null, tova: null, namm_untrained: null}",
    "--set=policies.namm_budget.budget=[9]",
]


def rollout(*arguments, code=0):
    result = CliRunner().invoke(app, ["rollout", *map(str, arguments)], env={"COLUMNS": "120", "NO_COLOR": "1"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def evolved(tmp_path, monkeypatch):
    """A policy under the shipped one's name, so that tests do not depend on which one is shipped."""
    Namm.untrained("random", sigma=0.3, seed=5).save_pretrained(tmp_path / "shipped" / "namm-smollm2")
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")


@pytest.mark.parametrize("name", TRACKS)
def test_every_rollout_track_makes_a_plan_and_says_what_it_is(evolved, name):
    config = load_rollout_config(name)
    labels = {run.label for run in make_plan(config)}
    everyone = {"window", "full", "recency", "random", "h2o", "l2_norm", "tova", "namm", "namm_untrained"}
    assert labels == {"full", "recency", "namm"} if name == "rl/demo" else everyone <= labels
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")
    assert config.output == f"results/{'demo-rl' if name == 'rl/demo' else name.split('/')[1]}"


def test_a_rollout_prints_its_table_and_goes_on_where_it_stopped(evolved, tmp_path):
    out = tmp_path / "out"
    first = rollout("rl/tmaze", *QUICK, "--output", out)
    assert "success, mean" in first.stdout and "namm_budget, estimated" in first.stdout
    lines = (out / "results.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines[1:]]
    assert len(records) == 5 * 2
    assert {record["episode"]["environment"] for record in records} == {"namm_xmodal/TMaze-v0"}
    assert all(record["episode"]["total"] == 1.0 for record in records if record["policy"] == "full")
    assert "success, mean" in (out / "table.txt").read_text()
    assert "episodes: 2" in (out / "config.yaml").read_text()
    with Image.open(out / "scores.png") as picture:
        shown = json.loads(picture.info["Policies"])
    assert len(shown) == 5
    for policy, fingerprints in shown.items():
        assert set(fingerprints) == {record["fingerprint"] for record in records if record["policy"] == policy}
    drawn = (out / "scores.svg").read_text()
    assert all(f"<!-- {policy} -->" in drawn for policy in shown)  # matplotlib notes every text that it draws
    (out / "results.jsonl").write_text("\n".join(lines[:-3]) + "\n")  # as if killed three episodes before the end
    rollout("rl/tmaze", *QUICK, "--output", out)
    again = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()[1:]]
    assert [record["episode"] for record in again] == [record["episode"] for record in records]
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert {row["policy"]: row["returns"]["n"] for row in rows} == dict.fromkeys(
        ("full", "recency", "h2o", "namm", "namm_budget"), 2
    )
    other = rollout("rl/tmaze", *QUICK, "--output", out, "--set=seed=7", code=2).stderr.strip()
    assert "holds results of configuration" in other and "\n" not in other


def test_policies_and_models_can_be_added_to_a_rollout_but_not_exchanged_under_their_label(evolved, tmp_path):
    out, fewer = tmp_path / "out", ["--set=policies.namm=null", "--set=policies.namm_budget=null"]
    journal = out / "results.jsonl"
    rollout("rl/tmaze", *QUICK, *fewer, "--set=budgets=[12]", "--output", out)
    before = journal.read_text().splitlines()
    rollout("rl/tmaze", *QUICK, "--output", out)  # two policies more, and another budget
    after = journal.read_text().splitlines()
    assert after[: len(before)] == before and len(after) == len(before) + 2 * (2 + 2)
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert [row["policy"] for row in rows] == ["full", "recency", "h2o", "namm", "namm_budget"]
    rollout("rl/tmaze", *QUICK, "--set=model_seeds=[0, 1]", "--output", out)
    assert len(journal.read_text().splitlines()) == len(after) + 5 * 2
    Namm.untrained("random", sigma=0.3, seed=6).save_pretrained(tmp_path / "shipped" / "namm-smollm2")
    line = rollout("rl/tmaze", *QUICK, "--output", out, code=2).stderr.strip()
    assert "holds results of another policy named 'namm'" in line and "\n" not in line
    rollout("rl/tmaze", *QUICK, *fewer, "--output", out)  # the others are what they were


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "model=hoper",
            "hoper: no such folder, and not a hub id; shipped: halfcheetah-long, halfcheetah-short, hopper-long",
        ),
        ("model_seeds=[9]", "no seed 9 in it"),
        ("environment=Hopper-v4", "the data of hopper-long/seed-0 come from Hopper-v5"),
        (
            "environment=HalfCheetah-v5",
            "states (17,) and actions (6,), the model hopper-long/seed-0 has (11,) and (3,)",
        ),
        ("environment=Hoper-v5", "environment 'Hoper-v5': cannot be made"),
        ("policies.h2o.policy=h2oo", "unknown policy 'h2oo'"),
        ("policies.window.steps=0", "policies.window: {'policy': 'window', 'steps': 0}: expected"),
        ("policies.namm.statistics=guessed", "policies.namm.statistics: 'guessed': expected frozen, estimated"),
        ("update_every=50", "policies.namm: update_every=50: expected a multiple"),
        ("budgets=[2]", "policies.recency: budget=2: below protect_first + protect_recent"),
        ("score=measured", "references: missing; measured scores need two returns"),
        ("score=dataset", "dataset: missing"),
        ("state_statistics=absent.json", "absent.json: no such file; expected state statistics"),
        ("episods=3", "episods: unknown key; did you mean episodes?"),
    ],
)
def test_rollout_mistakes_are_one_line(evolved, tmp_path, change, expected):
    line = rollout("rl/hopper", "--set", change, "--output", tmp_path / "out", code=2).stderr.strip()
    assert expected in line and "\n" not in line
    assert not (tmp_path / "out" / "results.jsonl").exists()


def test_a_target_outside_the_data_is_a_warning(evolved, tmp_path):
    few = ["--set=target=9000", "--set=episodes=1", "--set=max_steps=2", "--set=model_seeds=0"]
    few.append("--set=policies={" + ", ".join(f"{each}: null" for each in _all_but_full()) + "}")
    result = rollout("rl/hopper", *few, "--output", tmp_path / "out")
    assert "target 9000 lies outside the returns of its data" in " ".join(result.stderr.split())


def _all_but_full():
    return [label for label in load_rollout_config("rl/hopper").policies if label != "full"]


def test_rollout_scores_of_different_references_do_not_mix(evolved):
    config = load_rollout_config("rl/hopper")
    assert normaliser_of(config, "Hopper-v5").name == "d4rl"
    assert normaliser_of(config, "namm_xmodal/TMaze-v0") is None
    own = load_rollout_config("rl/hopper", ["score=measured", "references=[18.0, 3000.0]"])
    assert normaliser_of(own, "Hopper-v5").name == "measured"
    missing = load_rollout_config("rl/hopper", ["score=dataset", "dataset=no/such/set-v0"])
    with pytest.raises(DataError, match="not on this machine"):
        normaliser_of(missing, "Hopper-v5")


def test_rollout_interquartile_means_and_intervals():
    values = np.array([-100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0, 2000.0])
    assert interquartile_mean(values) == pytest.approx(np.mean([2.0, 3.0, 4.0, 5.0, 6.0]))
    rng = np.random.default_rng(0)
    strata = {f"m{i}": rng.normal(10 * i, 1, 40).tolist() for i in range(3)}
    found = aggregate(strata)
    assert found.n == 120 and found.low < found.value < found.high
    # Strata keep their sizes, so the spread between models is not part of the interval.
    assert found.high - found.low < 2
    assert [round(each / 10) for each in found.by_model.values()] == [0, 1, 2]
    assert aggregate({"m": [0.0, 1.0, 1.0, 1.0]}, kind="mean").value == 0.75
    assert aggregate({"m": [3.0]}).low is None
    with pytest.raises(DataError, match="not finite"):
        aggregate({"m": [np.nan, 1.0]})


def test_a_rollout_video_shows_what_is_remembered():
    held = np.array([0, 1, 3 * 40 + 1])  # the first return and state, the newest state
    picture = memory_picture([held, np.arange(3 * 40 + 2)], 50)
    assert picture.shape == (240, 400, 3)
    band = (240 - 30) // 6
    row = lambda layer, kind: 10 + layer * (3 * band + 10) + kind * band + 2  # noqa: E731
    colour = lambda layer, kind, step: tuple(picture[row(layer, kind), step * 8 + 2])  # noqa: E731
    assert colour(0, 0, 0) == (213, 94, 0) and colour(0, 1, 40) == (0, 114, 178)
    assert colour(0, 0, 20) == (226, 226, 226)  # forgotten
    assert colour(1, 2, 20) == (0, 158, 115)
    assert colour(0, 0, 45) == (255, 255, 255)  # not lived yet


def test_environments_leave_no_log_behind(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    environment_maker("HalfCheetah-v5")().close()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""
