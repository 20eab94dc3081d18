"""`namm-xmodal rollout`: tables from a clean clone, episode by episode on the disk; each mistake one line."""

import json
import shutil

import numpy as np
import pytest
from evaluations import load, plan_of
from PIL import Image
from typer.testing import CliRunner

from namm_xmodal import Namm
from namm_xmodal.agents.checkpoint import find_checkpoints
from namm_xmodal.cli.app import app
from namm_xmodal.config import packaged_configs
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.errors import DataError
from namm_xmodal.modalities.rl.film import memory_picture
from namm_xmodal.modalities.rl.normalise import normaliser_of
from namm_xmodal.policies.namm import store

TRACKS = [name for name in packaged_configs() if name.startswith("rl/")]
QUICK = [
    "--set=rl.model_seeds=0",
    "--set=rl.environment_options.length=20",
    "--set=rl.episodes=2",
    "--set=rl.budgets=[9]",
    "--set=rl.estimation_episodes=1",
    "--set=rl.policies={window: null, random: null, l2_norm: null, tova: null, namm_untrained: null}",
    "--set=rl.policies.namm_budget.budget=[9]",
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
    made = ["rl.model=hopper-long"] if name == "rl/hopper_positions" else []  # its own models are trained by its reader
    (plan,) = plan_of(config := load(name, None, *made))
    labels = {arm.label for arm in plan.arms}
    everyone = {"window", "full", "recency", "random", "h2o", "l2_norm", "tova", "namm", "namm_untrained"}
    assert labels == {"full", "recency", "namm"} if name == "rl/demo" else everyone <= labels
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")
    assert config.run.output == f"results/{'demo-rl' if name == 'rl/demo' else name.split('/')[1]}"


def records_of(journal):
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return [line for line in lines if "item" in line]


def told(record):
    return {key: value for key, value in record.items() if key not in ("seconds", "started")}


def test_a_rollout_prints_its_table_and_resumes_where_it_stopped(evolved, tmp_path):
    out = tmp_path / "out"
    first = rollout("rl/tmaze", *QUICK, "--output", out)
    assert "success" in first.stdout and "namm_budget" in first.stdout
    lines = (out / "results.jsonl").read_text().splitlines()
    records = records_of(out / "results.jsonl")
    assert len(records) == 5 * 2
    assert {record["facts"]["environment"] for record in records} == {"namm_xmodal/TMaze-v0"}
    assert all(record["scores"] == {"return": 1.0} for record in records if record["policy"] == "full")
    assert {r["fit"].partition(",")[0] for r in records if "namm" in r["policy"]} == {"estimated on tmaze/seed-0"}
    assert "success" in (out / "table.txt").read_text()
    assert "episodes: 2" in (out / "config.yaml").read_text()
    with Image.open(out / "report" / "curves-rl.png") as picture:
        shown = json.loads(picture.info["Policies"])
    assert len(shown) == 5
    for policy, fingerprints in shown.items():
        assert set(fingerprints) == {record["fingerprint"] for record in records if record["policy"] == policy}
    assert all(policy in (out / "report" / "index.html").read_text() for policy in shown)
    (out / "results.jsonl").write_text("\n".join(lines[:-3]) + "\n")  # as if killed three episodes before the end
    rollout("rl/tmaze", *QUICK, "--output", out)
    assert list(map(told, records_of(out / "results.jsonl"))) == list(map(told, records))
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert {row["policy"]: row["cells"][0]["score"]["n"] for row in rows} == dict.fromkeys(
        ("full", "recency", "h2o", "namm", "namm_budget"), 2
    )
    other = rollout("rl/tmaze", *QUICK, "--output", out, "--set=rl.seed=7", code=2).stderr.strip()
    assert "holds results with other settings: rl.seed (1000, now 7)" in other and "\n" not in other


def test_policies_and_models_can_be_added_to_a_rollout_but_not_exchanged_under_their_label(evolved, tmp_path):
    out, fewer = tmp_path / "out", ["--set=rl.policies.namm=null", "--set=rl.policies.namm_budget=null"]
    journal = out / "results.jsonl"
    rollout("rl/tmaze", *QUICK, *fewer, "--set=rl.budgets=[12]", "--output", out)
    before = journal.read_text().splitlines()
    rollout("rl/tmaze", *QUICK, "--output", out)  # two policies more, and another budget
    after = journal.read_text().splitlines()
    assert after[: len(before)] == before and len(after) == len(before) + 2 * (2 + 2)
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert [row["policy"] for row in rows] == ["full", "recency", "h2o", "namm", "namm_budget"]
    rollout("rl/tmaze", *QUICK, "--set=rl.model_seeds=[0, 1]", "--output", out)
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
        ("model_seeds=[9]", "has no seed 9"),
        ("environment=Hopper-v4", "the data of hopper-long/seed-0 come from Hopper-v5"),
        (
            "environment=HalfCheetah-v5",
            "states (17,) and actions (6,), but the model hopper-long/seed-0 has (11,) and (3,)",
        ),
        ("environment=Hoper-v5", "environment 'Hoper-v5': cannot be created"),
        ("policies.h2o.policy=h2oo", "unknown policy 'h2oo'"),
        ("policies.window.steps=0", "policies.window: {'policy': 'window', 'steps': 0}: expected"),
        ("policies.namm.statistics=guessed", "policies.namm.statistics: 'guessed': expected one of frozen, estimated"),
        ("update_every=50", "policies.namm: update_every=50: expected a multiple"),
        ("budgets=[2]", "budgets: 2: below protect_first + protect_recent"),
        ("score=measured", "references: missing; measured scores need two returns"),
        ("score=dataset", "dataset: missing"),
        ("state_statistics=absent.json", "absent.json: no such file; expected state statistics"),
        ("episods=3", "episods: unknown key; did you mean episodes?"),
    ],
)
def test_rollout_mistakes_are_one_line(evolved, tmp_path, change, expected):
    line = rollout("rl/hopper", "--set", f"rl.{change}", "--output", tmp_path / "out", code=2).stderr.strip()
    assert expected in line and "\n" not in line
    assert not (tmp_path / "out" / "results.jsonl").exists()


def test_what_is_odd_about_a_model_is_a_warning(evolved, tmp_path):
    others = [label for label in load("rl/hopper", None).sections["rl"].policies if label != "full"]
    few = [
        "target=9000",
        "episodes=1",
        "max_steps=2",
        "model_seeds=0",
        f"policies={{{', '.join(f'{o}: null' for o in others)}}}",
    ]
    few = [f"--set=rl.{each}" for each in few]
    for more in ((), ("--dry-run",)):
        shown = " ".join(rollout("rl/hopper", *few, "--output", tmp_path / "out", *more).stderr.split())
        assert shown.count("hopper-long/seed-0: target 9000 is outside the returns of its data, ") == 1


def test_a_model_that_does_not_say_its_scale_is_a_warning(evolved, tmp_path):
    (place,) = find_checkpoints("tmaze", [0]).values()
    shutil.copytree(place, tmp_path / "mine")
    config = json.loads((tmp_path / "mine/config.json").read_text())
    del config["namm_xmodal"]
    (tmp_path / "mine/config.json").write_text(json.dumps(config))
    asked = (
        "rl/tmaze",
        f"--set=rl.model={tmp_path / 'mine'}",
        "--set=rl.environment=namm_xmodal/TMaze-v0",
        "--set=rl.target=1",
    )
    told = "mine: does not say what returns were divided by in its training; taken to be 1000"
    for more, times in (((), 1), (("--set=rl.scale=1",), 0)):
        shown = rollout(*asked, *more, "--dry-run", "--output", tmp_path / "out").stderr
        assert " ".join(shown.split()).count(told) == times


def test_rollout_scores_of_different_references_do_not_mix(evolved):
    def section(*changes):
        return load("rl/hopper", None, *changes).sections["rl"]

    assert normaliser_of(section(), "Hopper-v5").name == "d4rl"
    assert normaliser_of(section(), "namm_xmodal/TMaze-v0") is None
    own = section("rl.score=measured", "rl.references=[18.0, 3000.0]")
    assert normaliser_of(own, "Hopper-v5").name == "measured"
    missing = section("rl.score=dataset", "rl.dataset=no/such/set-v0")
    with pytest.raises(DataError, match="not on this machine"):
        normaliser_of(missing, "Hopper-v5")


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
