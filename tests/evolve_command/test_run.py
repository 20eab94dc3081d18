"""From a file to a policy: what a run writes, that it goes on as if never stopped, and what it says about itself."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from child_processes import heed_ctrl_c
from evaluations import load

from namm_xmodal import Namm
from namm_xmodal.config.evolve import load_evolve_config
from namm_xmodal.evolution.record import read_run

SMOKE = ("evolve", "evolve/smoke")
COMMAND = [sys.executable, "-m", "namm_xmodal.cli"]


def mean(folder):
    return np.load(folder / "mean.npy")


def test_a_run_writes_everything_and_goes_on_where_it_ended(run, small, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    result = run(*SMOKE, "--run", whole, *small())
    for word in (
        "generation 2:",
        "2 samples are too few",
        "fresh samples of each",
        "fitness",
        "cache kept",
        "held_out.yaml",
    ):
        assert word in result.stdout
    names = {path.name for path in whole.iterdir()}
    written = {"journal.jsonl", "config.yaml", "statistics.json", "mean.npy", "start.npy", "policy", "held_out.yaml"}
    assert names == written | {"validation.json", "plot.png", "plot.svg", ".namm-xmodal.json"}

    policy = Namm.from_pretrained(whole / "policy")
    assert np.array_equal(policy.parameters[0].numpy(), mean(whole).astype(np.float32))
    assert policy.metadata["generation"] == 2
    assert policy.metadata["trained_on"]["models"] == ["tiny-random"]
    assert "tiny-random" in policy.statistics.source
    assert not np.load(whole / "start.npy").any()

    run(*SMOKE, "--run", parts, *small("generations=1", "validation=0"))
    before = (parts / "statistics.json").read_bytes()
    run("evolve", "--resume", parts, "--set", "generations=3")
    assert np.array_equal(mean(parts), mean(whole))
    assert (parts / "statistics.json").read_bytes() == before
    assert load_evolve_config(parts / "config.yaml").generations == 3

    section = load(whole / "held_out.yaml", None).sections["language"]
    assert section.policies["namm"]["path"] == str(whole / "policy")
    assert "trained on" in (whole / "held_out.yaml").read_text()
    assert "namm: adaptive, schedule streaming: Namm(" in run("eval", whole / "held_out.yaml", "--dry-run").stdout


def test_ctrl_c_then_resume_with_two_processes_ends_with_the_same_bits(run, small, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    few = small("generations=6", "validation=0")
    run(*SMOKE, "--run", whole, *few)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*COMMAND, *SMOKE, "--run", str(parts), *few],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    journal = parts / "journal.jsonl"
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") > 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, problems = process.communicate(timeout=60)
    assert process.returncode == 130, problems
    assert f"resume with: namm-xmodal evolve --resume {parts}" in output
    assert "Traceback" not in problems
    done = len(read_run(parts).generations)
    assert 0 < done < 6
    assert (parts / "plot.png").exists() and (parts / "policy" / "config.json").exists()

    run("evolve", "--resume", parts, "--workers", "2")
    assert np.array_equal(mean(parts), mean(whole))
    assert Namm.from_pretrained(parts / "policy").metadata["generation"] == 5


def test_the_whole_smoke_file_improves_on_its_start(run, tmp_path):
    started = time.process_time()
    result = run(*SMOKE, "--run", tmp_path / "run")
    assert time.process_time() - started < 60
    verdict = json.loads((tmp_path / "run" / "validation.json").read_text())
    assert verdict["fitness"]["low"] > 0
    assert verdict["fitness"]["n"] == 10
    assert "better than its start, on 10 fresh samples" in result.stdout
    assert verdict["kept"]["high"] < 0

    picture = tmp_path / "picture.svg"
    assert "12 generations" in run("plot", tmp_path / "run", "--output", picture).stdout
    text = picture.read_text()
    assert text.startswith("<?xml")


def test_stages_share_strategy_state_and_statistics(run, small, tmp_path):
    few = small("generations=2", "validation=2")
    run(*SMOKE, "--run", tmp_path / "one", *few)
    text = "tasks.next_token={task: next_token, length: [576]}"
    run(*SMOKE, "--run", tmp_path / "two", *few, "--set", text, "--set", f"after={tmp_path / 'one'}")
    one, two = read_run(tmp_path / "one"), read_run(tmp_path / "two")
    assert [told.mean for told in two.inherited] == [generation.mean for generation in one.generations]
    assert np.array_equal(np.load(tmp_path / "two" / "start.npy"), mean(tmp_path / "one"))
    assert (tmp_path / "two" / "statistics.json").read_bytes() == (tmp_path / "one" / "statistics.json").read_bytes()


def test_start_and_statistics_of_a_policy(run, small, tmp_path):
    few = small("generations=1", "validation=0")
    run(*SMOKE, "--run", tmp_path / "one", *few)
    policy = tmp_path / "one" / "policy"
    given = ("--set", f"start={policy}", "--set", f"statistics.path={policy}", "--set", "tracking.tensorboard=true")
    run(*SMOKE, "--run", tmp_path / "two", *few, *given)
    start = Namm.from_pretrained(policy).parameters[0].double().numpy()
    assert np.array_equal(np.load(tmp_path / "two" / "start.npy"), start)
    assert list((tmp_path / "two" / "tensorboard").iterdir())


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(run, tmp_path):
    result = run("evolve", "evolve/smollm2", "--dry-run", "--workers", "2")
    assert "150 generations of 16 members" in result.stdout
    assert "tokens of text per generation" in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["evolve", "plot", "list strategies"])
def test_help(run, command):
    assert "Usage" in run(*command.split(), "--help").stdout


def test_lists(run):
    rows = {row["name"]: row for row in json.loads(run("list", "strategies", "--json").stdout)}
    assert rows["paper"]["fields"]["population"] == "32"
    keys = {row["name"] for row in json.loads(run("list", "configs", "--keys", "--evolve", "--json").stdout)}
    assert {"strategy.sigma0", "size_pressure.schedule"} <= keys


def test_workers_choose_the_evaluator():
    def chosen(workers, *changes):
        return load_evolve_config("evolve/smoke", changes, workers=workers).evaluator

    assert chosen(None).kind == "in_process"
    assert (chosen(2).kind, chosen(2).workers) == ("processes", 2)
    assert (chosen(1).kind, chosen(1).workers) == ("in_process", 1)
    assert (chosen(3, "evaluator.kind=ray").kind, chosen(3, "evaluator.kind=ray").workers) == ("ray", 3)


def test_the_resolved_file_reads_back(run, small, tmp_path):
    config = load_evolve_config("evolve/smollm2", ["strategy.covariance=full"])
    (tmp_path / "resolved.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load_evolve_config(tmp_path / "resolved.yaml") == config


def test_videos_have_no_length_before_they_are_read(run, tmp_path):
    """A count of their tokens would be made up, so none is shown."""
    path = tmp_path / "videos.yaml"
    path.write_text(
        "agree: {video: {model: llava-small, count: 4, frames: 8, update_every: 16}}\n"
        f"samples: 2\nupdate_every: 16\nstrategy: {{population: 4}}\ngenerations: 1\nrun: {tmp_path / 'run'}\n"
    )
    result = run("evolve", str(path), "--dry-run")
    assert "x 2 samples of 1 source = 8 scores per generation" in result.stdout
