"""`head-shares`: from a file to shares, killed and resumed, used in an evaluation, mistakes in one line."""

import json
import re

import pytest

from namm_xmodal.config import packaged_configs
from namm_xmodal.config.head_shares import load_head_shares_config
from namm_xmodal.policies.head_shares import HeadShares

FILES = [name for name in packaged_configs() if name.startswith("shares/")]


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_is_valid_and_says_what_it_is(name):
    assert load_head_shares_config(name).run.startswith("runs/")
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")


def test_a_run_from_the_file_to_an_evaluation(run, tmp_path):
    shown = run("head-shares", "shares/smoke", "--run", tmp_path / "run").output
    assert "tiny-random: 3 steps, 3 forward and backward passes, at 25% of the cache" in shown
    assert "2 other inputs: " in shown
    shares = tmp_path / "run" / "head_shares.json"
    found = HeadShares.from_pretrained(shares)
    assert len(found.weights) == 2
    assert "tiny-random, 3 steps on 3 inputs of language, seed 0" in found.source
    assert (tmp_path / "run" / "plot.png").stat().st_size > 1000
    before = shares.read_text()
    run("head-shares", "shares/smoke", "--run", tmp_path / "run")  # finished: the same again
    assert shares.read_text() == before
    policy = f"policies.divided={{policy: by_head, base: {{policy: keydiff}}, shares: {shares}}}"
    run("eval", "language/smoke", "--output", tmp_path / "results", "--set", policy)
    lines = [json.loads(line) for line in (tmp_path / "results" / "results.jsonl").read_text().splitlines()]
    records = [line for line in lines if line.get("policy") == "divided"]
    assert records
    assert all(record["status"] == "scored" for record in records)


def test_a_result_that_is_gone_is_made_again(run, tmp_path):
    run("head-shares", "shares/smoke", "--run", tmp_path / "whole")
    run("head-shares", "shares/smoke", "--run", tmp_path / "cut")
    state = tmp_path / "cut" / "division.json"
    whole = json.loads(state.read_text())
    assert whole["step"] == 3
    (tmp_path / "cut" / "head_shares.json").unlink()
    run("head-shares", "shares/smoke", "--run", tmp_path / "cut")
    assert (tmp_path / "cut" / "head_shares.json").read_text() == (tmp_path / "whole" / "head_shares.json").read_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["budget=1"], "budget: 1: expected"),
        (["policy={policy: adakv}"], "policy: AdaKV: expected a policy that only scores"),
        (["policy={policy: expected_attention}"], "reads queries, which are not available in gradient steps"),
        (["agree.language.weight=2"], "agree.language.weight: only applies to `train`; remove it"),
        (["agree.language.samples=2"], "agree.language.samples: only applies to `train`"),
        (["budget=0.05"], "agree.language: budget"),
        (["agree.language.floor=200"], "floor: 200: keeps everything"),
        (["held_out=5"], "agree.language.count: 5: expected at least held_out=5"),
        (["agree.video={model: llava-small}"], "llava-small and tiny-random: head shares belong to one model"),
        (["agree.language.model=nowhere/none"], "nowhere/none"),
        (
            ["agree.language=null", "agree.rl={model: tmaze, count: 5, tokens: 66, update_every: 16}"],
            "set model_seeds",
        ),
        (["stepz=3"], "stepz: unknown key; did you mean steps"),
        (["samples=4"], "expected at least held_out=2 plus samples=4 for the steps"),
        (["policy={policy: full}"], "policy: Full.*: expected a policy that only scores"),
        (["policy={policy: keydiff, budget: 0.9}"], "policy.budget: 0.9: set `budget` at the top instead"),
        (["agree.language.budget=0.6"], "agree.language.budget: 0.6: head shares have one budget"),
        (["method=duo_attention"], "rate: has no effect with method: duo_attention; remove it"),
        (["window=0.1"], "window: has no effect with method: agreement; remove it"),
        (["agree.language.tokens=32", "agree.language.update_every=128"], "the cache is never updated"),
    ],
)
def test_mistakes_are_refused_in_one_line(refused, tmp_path, changes, words):
    sets = [part for change in changes for part in ("--set", change)]
    said = refused("head-shares", "shares/smoke", "--run", tmp_path / "run", *sets)
    assert re.search(words, said), said
    assert "\n" not in said.strip()


def test_the_baseline_from_the_file_to_shares(run, refused, tmp_path):
    changes = ["agree.language.model=tiny-random", "agree.language.count=5", "agree.language.tokens=80", "held_out=2"]
    arguments = ["head-shares", "shares/duo_attention", "--run", tmp_path / "run"]
    arguments += [part for change in (*changes, "agree.language.update_every=32") for part in ("--set", change)]
    shown = run(*arguments).output
    assert "tiny-random: 3 forward passes, at 25% of the cache" in shown
    assert "2 other inputs: " in shown
    shares = tmp_path / "run" / "head_shares.json"
    found = HeadShares.from_pretrained(shares)
    assert found.source == "tiny-random, DuoAttention on the fly, means of 3 inputs of language"
    assert sum(weight * 0.25 == pytest.approx(0.05, abs=1e-3) for layer in found.weights for weight in layer) >= 2
    before = shares.read_text()
    shares.unlink()
    run(*arguments)  # scores are kept
    assert shares.read_text() == before
    assert "other settings" in refused(*arguments, "--set", "window=0.02")
    (tmp_path / "run" / "config.yaml").unlink()
    assert "was written by another method" in refused("head-shares", "shares/smoke", "--run", tmp_path / "run")
    assert "expected less than the budget, 0.25" in refused(*arguments, "--set", "window=0.3")
    (tmp_path / "run" / "retrieval.json").write_text("{}")
    assert "damaged" in refused(*arguments)


def test_another_run_is_not_touched(refused, run, tmp_path):
    run("head-shares", "shares/smoke", "--run", tmp_path / "run")
    said = refused("head-shares", "shares/smoke", "--run", tmp_path / "run", "--set", "seed=3")
    assert "holds a run with other settings: seed (0, now 3); choose another --run" in said
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "head_shares.json").write_text("mine")
    assert "head_shares.json" in refused("head-shares", "shares/smoke", "--run", tmp_path / "mine")
    assert (tmp_path / "mine" / "head_shares.json").read_text() == "mine"


@pytest.mark.parametrize(
    "damage",
    [{"step": -1}, {"step": 99}, {"counted": 0}, {"losses": []}, {"logs": [[1.0]]}, {"logs": [[float("nan")] * 2] * 2}],
    ids=str,
)
def test_a_damaged_state_is_refused(run, refused, tmp_path, damage):
    run("head-shares", "shares/smoke", "--run", tmp_path / "run")
    state = tmp_path / "run" / "division.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), **damage}))
    assert "division.json: damaged" in refused("head-shares", "shares/smoke", "--run", tmp_path / "run")
