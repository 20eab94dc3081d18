"""No command writes over its input, over another command's folder, or over a file that it did not make."""

import json

import pytest
from killing import contents
from video_files import write_video

from namm_xmodal import Namm

TEXT = ("--model", "tiny-random", "--policy", "streaming_llm", "--budget", "16", "--update-every", "32")
FEW = ("tasks.next_token=null", "tasks.key_retrieval.n=1", "budgets=0.5", "policies={h2o: null, snapkv: null}")
FEW = (*FEW, "scoring=likelihood")
EVAL = ("eval", "language/smoke", *(part for each in FEW for part in ("--set", f"language.{each}")))
EVOLVE = ("evolve", "evolve/smoke", "--set", "generations=1", "--set", "validation=0", "--set", "statistics.samples=1")
EVOLVE = (*EVOLVE, "--set", "strategy.population=4", "--set", "samples=1", "--set", "tasks.next_token=null")
CALIBRATE = ("calibrate", "--model", "tiny-random", "--floor", "0", "--length", "96")
CALIBRATE = (*CALIBRATE, "--count", "1", "--update-every", "64")


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    Namm.untrained("random", sigma=0.1, seed=1).save_pretrained(folder)
    return folder


def test_inspect_of_a_text_leaves_the_users_files_alone(run, refused, tmp_path):
    notes, data = tmp_path / "notes.json", tmp_path / "data.json"
    for path in (notes, data):
        path.write_text(json.dumps({"mine": "word " * 40}))
    before = contents(tmp_path)
    line = refused("inspect", *TEXT, "--text", notes, "--output", tmp_path / "notes.png")
    assert f"{notes} is an input of this command and cannot be overwritten" in line
    line = refused("inspect", *TEXT, "--text", notes, "--output", tmp_path / "data.png")
    assert f"{data} already exists and was not written by namm-xmodal" in line
    assert contents(tmp_path) == before
    for _ in range(2):  # its own files it may replace
        run("inspect", *TEXT, "--text", notes, "--output", tmp_path / "keep.png")
    assert contents(tmp_path).keys() - before.keys() == {"keep.png", "keep.json"}


def test_inspect_of_a_video_leaves_the_users_files_alone(refused, tmp_path):
    clip = write_video(tmp_path / "clip.mp4", frames=8)
    write_video(tmp_path / "other.mp4", frames=8)
    before = contents(tmp_path)
    ask = ("inspect", clip, "--question", "what?")
    assert f"{clip} is an input of this command" in refused(*ask, "--output", tmp_path / "clip.png")
    assert "other.mp4 already exists and was not written" in refused(*ask, "--output", tmp_path / "other.svg")
    assert contents(tmp_path) == before


def test_no_command_takes_another_ones_folder(run, refused, tmp_path, policy):
    evolved, results = tmp_path / "evolved", tmp_path / "results"
    run(*EVOLVE, "--run", evolved)
    run(*EVAL, "--output", results)
    before = contents(tmp_path)
    given = ("--set", f"statistics.path={policy}")
    for line in (
        (*EVAL, "--output", evolved),
        ("warm-start", "evolve/smoke", *given, "--run", evolved),
        (*CALIBRATE, policy, "--output", evolved),
        ("rollout", "rl/tmaze", "--output", evolved),
        ("video-qa", "video/smoke", "--output", evolved),
        ("prepare", "video", "--tiny", "--output", evolved),
        ("prepare", "rl", "--env", "tmaze", "--updates", "1", "--output", evolved),
        (*EVAL, "--dry-run", "--output", evolved),
    ):
        assert f"{evolved}: was made by `namm-xmodal evolve`, expected a new folder" in refused(*line), line
    for line in (
        (*EVOLVE, "--run", results),
        (*EVOLVE, "--run", results, "--dry-run"),
        (*CALIBRATE, policy, "--output", results),
    ):
        assert f"{results}: was made by `namm-xmodal eval`, expected a new folder" in refused(*line), line
    assert contents(tmp_path) == before


def test_a_policy_is_not_replaced_by_what_is_made_of_it(run, refused, tmp_path, policy):
    own = tmp_path / "own"
    run(*CALIBRATE, "namm-smollm2", "--output", own)
    before = contents(own), contents(policy)
    for folder in (own, policy):
        assert "is an input of this command" in refused(*CALIBRATE, folder, "--output", folder)
    mine = ("--set", f"language.policies.mine={{policy: namm, path: {policy}}}")
    assert "is an input of this command" in refused(*EVAL, *mine, "--output", policy)
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "config.json").write_text("{}")
    assert "holds config.json, which `namm-xmodal calibrate` did not make" in refused(
        *CALIBRATE, policy, "--output", tmp_path / "user"
    )
    assert (contents(own), contents(policy)) == before


def test_a_users_own_configuration_is_not_replaced_by_the_resolved_one(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("extends: language/smoke\noutput: .\n")
    before = contents(tmp_path)
    assert ".: holds config.yaml, which `namm-xmodal eval` did not make and would overwrite" in refused(
        "eval", "config.yaml"
    )
    (tmp_path / "taken").write_text("mine")
    assert "taken: is a file, expected a folder or a new name; choose another --run" in refused(
        *EVOLVE, "--run", "taken"
    )
    (tmp_path / "taken").unlink()
    assert contents(tmp_path) == before


def test_plot_replaces_only_pictures_of_its_own(run, refused, tmp_path):
    run(*EVOLVE, "--run", tmp_path / "run")
    (tmp_path / "mine.png").write_bytes(b"a photo")
    assert "mine.png already exists" in refused("plot", tmp_path / "run", "--output", tmp_path / "mine.png")
    for _ in range(2):
        run("plot", tmp_path / "run", "--output", tmp_path / "own.svg")
    run("plot", tmp_path / "run")
    assert (tmp_path / "mine.png").read_bytes() == b"a photo"


def test_a_second_seed_in_the_same_folder_does_not_disturb_the_first(run, refused, tmp_path):
    """Statistics and configuration used to be written before the other run was noticed."""
    folder = tmp_path / "run"
    run(*EVOLVE, "--run", folder)
    before = contents(folder)
    assert "a run already exists here" in refused(*EVOLVE, "--set", "seed=7", "--run", folder)
    assert "belongs to a run with another" in refused("evolve", "--resume", folder, "--set", "seed=7")
    (folder / "statistics.json").unlink()
    assert "belongs to a run with another" in refused("evolve", "--resume", folder, "--set", "update_every=32")
    assert contents(folder).keys() == before.keys() - {"statistics.json"}
    run("evolve", "--resume", folder, "--set", "generations=2")


def test_a_second_warm_start_in_the_same_folder_does_not_disturb_the_first(run, refused, tmp_path, policy):
    line = ("warm-start", "evolve/smoke", "--set", "gradient.steps=1", "--set", "samples=1", "--run", tmp_path / "run")
    line = (*line, "--set", f"statistics.path={policy}", "--set", "tasks.next_token=null")
    run(*line)
    before = contents(tmp_path / "run")
    assert "holds a warm start with other settings" in refused(*line, "--set", "seed=7")
    run(*line)
    assert contents(tmp_path / "run") == before


def test_a_finished_evaluation_says_so(run, tmp_path):
    assert "finished earlier" not in run(*EVAL, "--output", tmp_path / "out").stderr
    said = " ".join(run(*EVAL, "--output", tmp_path / "out").stderr.split())
    assert "finished earlier: all 2 results are in" in said
    assert "--fresh backs them up" in said


def test_a_training_of_another_seed_is_not_taken_for_this_one(run, refused, tmp_path):
    import torch

    with torch.enable_grad():
        run("prepare", "video", "--tiny", "--output", tmp_path / "run")
    before = contents(tmp_path)
    line = refused("prepare", "video", "--tiny", "--seed", "1", "--output", tmp_path / "run")
    assert "of a training with another seed or recipe; choose another --output" in line
    assert contents(tmp_path) == before
