"""Runs that start from weights of channels, and runs whose heads each keep a share: every command, and mistakes."""

import json
import math

import numpy as np
import pytest
import torch

from namm_xmodal import Namm, pruned
from namm_xmodal.config.loader import resolve_config
from namm_xmodal.gradient.run import read_steps
from namm_xmodal.language.tiny_random import build_tiny_random

START = "start={key_novelty: 0.5}"
SHARES = "gradient={selection: head, steps: 2, budget: 0.3, smallest_budget: 0.15, anneal: 1, floor: 8}"


def asked(*assignments):
    return [part for each in assignments for part in ("--set", each)]


ONLY_LANGUAGE = asked("agree.video=null", "agree.rl@tmaze=null")


def policy_of(folder):
    return Namm.from_pretrained(folder / "policy")


def test_a_policy_of_shares_holds_them_at_any_length_and_is_evolved_further(run, refused, tmp_path):
    file = "train/smoke_agree"
    run("train", file, "--run", tmp_path / "run", *ONLY_LANGUAGE, *asked(START, "ranking.steps=0", SHARES))
    made = policy_of(tmp_path / "run")
    assert (made.threshold, made.max_tokens, made.schedule.seen) == (-math.inf, 0.3, ())
    assert made.metadata["selection"] == "head"
    model = build_tiny_random()[0].eval()
    for length in (256, 1024):
        ids = torch.randint(0, 256, (1, length), generator=torch.Generator().manual_seed(0))
        with torch.no_grad(), pruned(model, made, update_every=64) as memory:
            model(ids, past_key_values=memory.cache(), logits_to_keep=1)
            assert memory.report().kept_fraction == pytest.approx(0.3, abs=0.01)
    evolved = policy_of(tmp_path / "run" / "evolution")
    assert (evolved.threshold, evolved.max_tokens) == (-math.inf, 0.3)
    run("evolve", "--resume", tmp_path / "run" / "evolution", *asked("generations=2"))
    on = [*asked(f"start={tmp_path / 'run' / 'policy'}", "features=[spectrogram, key_novelty]")]
    line = refused("evolve", "evolve/smoke", "--run", tmp_path / "on", *on)
    assert "set threshold=-.inf and max_tokens=0.3" in line
    run(
        "evolve",
        "evolve/smoke",
        "--run",
        tmp_path / "on",
        *on,
        *asked("threshold=-.inf", "max_tokens=0.3"),
        "--dry-run",
    )


def test_training_starts_from_weights_or_from_a_policy(run, tmp_path):
    folders = {
        "untouched": [START, "ranking.steps=0", "gradient.steps=0"],
        "ranked": [START, "gradient.steps=0"],
        "at random": ["gradient.steps=0"],
    }
    for name, changes in folders.items():
        run("train", "train/smoke_agree", "--run", tmp_path / name, *ONLY_LANGUAGE, *asked("generations=0", *changes))
    untouched, ranked, random = (policy_of(tmp_path / name).parameters[0] for name in folders)
    assert untouched.max() == 0.5
    assert (ranked - untouched).norm() < 0.4 * (random - untouched).norm()
    assert not torch.equal(ranked, untouched)
    saved = asked(f"start={tmp_path / 'untouched' / 'policy'}", "gradient.steps=0", "generations=0")
    statistics = asked(f"statistics.path={tmp_path / 'untouched' / 'policy'}")
    run("train", "train/smoke_agree", "--run", tmp_path / "saved", *ONLY_LANGUAGE, *saved, *statistics)
    assert (policy_of(tmp_path / "saved").parameters[0] - ranked).abs().max() < 1e-4


def test_a_warm_start_and_an_evolution_start_from_weights(run, small, tmp_path):
    more = small(START, "features=[key_novelty]", "gradient.steps=1", "gradient.rate=1e-9", "gradient.floor=64")
    run("warm-start", "evolve/smoke", "--run", tmp_path / "start", *more)
    run("evolve", "evolve/smoke", "--run", tmp_path / "evolved", *more)
    start = np.load(tmp_path / "evolved" / "start.npy")
    assert sorted(start)[-1] == 0.5
    assert np.abs(policy_of(tmp_path / "start").parameters[0].numpy() - start)[:-1].max() < 1e-6
    again = small(START, "features=[key_novelty]", "gradient.steps=1", "gradient.rate=1e-9", "gradient.floor=64")
    shown = run("warm-start", "evolve/smoke", "--run", tmp_path / "start", *again, *asked("start_sigma=0.1"), code=2)
    assert "other settings" in shown.output


def test_training_without_traces_is_a_warm_start(run, small, tmp_path):
    changes = small("features=[key_novelty]", START, SHARES)
    file = tmp_path / "train.yaml"
    file.write_text(resolve_config("evolve/smoke").read_text() + "\ntraces: {}\n")
    run("train", file, "--run", tmp_path / "train", *changes, *asked("generations=0"))
    run("warm-start", "evolve/smoke", "--run", tmp_path / "start", *changes)
    trained, started = (policy_of(tmp_path / name) for name in ("train", "start"))
    assert torch.equal(trained.parameters, started.parameters)
    assert not (tmp_path / "train" / "traces").exists()


def test_no_threshold_is_saved_as_json_has_it(tmp_path):
    Namm.untrained(threshold=-math.inf, max_tokens=0.3).save_pretrained(tmp_path)
    strict = json.loads((tmp_path / "config.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert strict["threshold"] is None
    assert Namm.from_pretrained(tmp_path).threshold == -math.inf


def test_a_policy_gradient_learns_from_agreement(run, tmp_path):
    drawn = "gradient={estimator: policy_gradient, policy_gradient: {rollouts: 2}, steps: 1, budget: 0.4, floor: 8}"
    file = "train/smoke_agree"
    shown = run("train", file, "--run", tmp_path / "run", *asked(drawn, "generations=0")).output
    assert "the policy is in" in shown
    assert [*read_steps(tmp_path / "run")[0].loss] == ["agree.language", "agree.video", "agree.rl@tmaze"]
    content = json.loads((tmp_path / "run" / "policy" / "config.json").read_text())
    assert content["metadata"]["method"] == "policy gradients from random evictions"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("start={nearest_key: 1}", "start: nearest_key: not among the features spectrogram, key_novelty"),
        ("start={key_novelty: x}", "start: key_novelty: 'x': expected a finite weight"),
        ("start=[1]", "start: [1]: expected zeros, a saved policy, or a mapping of channels to weights"),
        ("start={}", "start: {}: expected at least one channel"),
        ("{scorer: mlp, start: {key_novelty: 1}}", "start: a mapping needs a last layer"),
        ("ranking.steps=0", "ranking.steps: 0: needs a start"),
        ("traces={}", "ranking: has no effect without traces"),
        ("{traces: {}, ranking: null}", "traces: {}: gradients need a start"),
        ("threshold=-.inf", "threshold: -.inf: keeps everything unless max_tokens is set"),
        ("threshold=.nan", "threshold: nan: expected a number"),
        ("gradient.smallest_budget=0.1", "smallest_budget: 0.1: not possible with pooled thresholds"),
        ("gradient.average=0.5", "average: 0.5: not possible with pooled thresholds"),
        ("gradient={selection: head, smallest_budget: 0.5}", "smallest_budget: 0.5: expected at most budget = 0.4"),
        ("{gradient.selection: head, max_tokens: 0.1}", "max_tokens: 0.1: gradient.selection: head saves the policy"),
        (
            "{gradient: {selection: head, smallest_budget: 0.1, floor: 8}, agree.video.budget: 0.05}",
            "agree.video.budget: 0.05: expected at least gradient.smallest_budget = 0.1",
        ),
        (
            "{scorer: mlp, gradient.trained: last_layer}",
            "gradient.trained: last_layer: scorer mlp has no linear last layer",
        ),
        ("gradient.share_of=whole", "share_of: whole: not possible with pooled thresholds"),
        ("agree.video.share_of=whole", "agree.video.share_of: whole: not possible with pooled thresholds"),
        ("agree.video.smallest_budget=0.1", "agree.video.smallest_budget: only works with gradient.smallest_budget"),
        (
            "{gradient: {selection: head, smallest_budget: 0.1, floor: 8}, agree.video.smallest_budget: 0.9}",
            "agree.video.budget: 0.4: expected at least its smallest_budget = 0.9",
        ),
        ("agree.video.samples=99", "agree.video: count: 2 inputs: expected at least samples = 99"),
        ("agree.video.weight=0", "agree.video: weight: 0: expected a number, above 0"),
    ],
)
def test_mistakes_are_one_line(refused, tmp_path, change, message):
    import yaml

    changes = [change]
    if change.startswith("{"):
        changes = [f"{key}={json.dumps(value)}" for key, value in yaml.safe_load(change).items()]
    line = refused("train", "train/smoke_agree", "--run", tmp_path / "run", *asked(*changes), "--dry-run")
    assert message in line
    assert not (tmp_path / "run").exists()
