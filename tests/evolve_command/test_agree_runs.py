"""Runs that agree with the full cache on three modalities: every command, killed and resumed, and mistakes in one line."""

import json

import pytest
import torch

from namm_xmodal import Namm
from namm_xmodal.cli.evolve_setup import make_setup
from namm_xmodal.config.evolve import load_evolve_config
from namm_xmodal.evolution.record import read_run
from namm_xmodal.gradient import Descent
from namm_xmodal.gradient.run import read_steps

FILE = "train/smoke_agree"
LABELS = ["agree.language", "agree.video", "agree.rl@tmaze"]
AGREE = """
agree:
  language: {model: tiny-random, count: 2, tokens: 100, update_every: 64}
  video: {model: llava-small, count: 1, frames: 8, options: {frames: 8}, update_every: 16}
  rl@tmaze: {model: tmaze, model_seeds: [0], environment_options: {length: 20}, count: 2, tokens: 66, update_every: 16}
features: [key_novelty, {channel: mean_attention, standardise: context}]
samples: 1
strategy: {population: 4}
generations: 2
gradient: {steps: 2, anneal: 1, floor: 8, budget: 0.5}
validation: 0
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "agree.yaml"
    path.write_text(AGREE)
    return path


def answers(folder):
    return Namm.from_pretrained(folder / "policy").parameters


def test_evolution_on_three_modalities_is_the_same_however_it_is_run(run, tmp_path, file):
    shown = run("evolve", file, "--run", tmp_path / "whole").output
    assert "tiny-random, llava-small, tmaze: 2 generations of 4 members" in shown
    assert "x 1 sample of 3 sources = 12 scores" in shown
    record = read_run(tmp_path / "whole")
    assert [*record.generations[0].tasks] == [
        "tiny-random/agree.language",
        "llava-small/agree.video",
        "tmaze/agree.rl@tmaze",
    ]
    assert all(0 <= spread.worst <= spread.best <= 1 + 1e-6 for spread in record.generations[1].tasks.values())
    run("evolve", file, "--run", tmp_path / "cut", "--set", "generations=1")
    journal = tmp_path / "cut" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]))  # killed after two of the three shards of the first generation
    run("evolve", "--resume", tmp_path / "cut", "--set", "generations=2")
    run("evolve", file, "--run", tmp_path / "two", "--workers", 2)
    for name in ("cut", "two"):
        assert torch.equal(answers(tmp_path / name), answers(tmp_path / "whole"))


def test_gradients_on_three_modalities_taken_up_again(run, monkeypatch, tmp_path, file):
    run("warm-start", file, "--run", tmp_path / "whole")
    steps = read_steps(tmp_path / "whole")
    assert [[*step.loss] for step in steps] == [LABELS, LABELS]
    take = Descent.take

    def killed(descent, *given):
        if descent.step == 1:
            raise InterruptedError
        return take(descent, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Descent, "take", killed)
        with pytest.raises(InterruptedError):
            run("warm-start", file, "--run", tmp_path / "cut")
    run("warm-start", file, "--run", tmp_path / "cut")
    assert read_steps(tmp_path / "cut") == steps
    assert torch.equal(answers(tmp_path / "cut"), answers(tmp_path / "whole"))


def test_each_source_has_thresholds_and_language_has_those_of_the_policy(run, tmp_path, file):
    run("warm-start", file, "--run", tmp_path / "start")
    policy = Namm.from_pretrained(tmp_path / "start" / "policy")
    found = policy.metadata["schedules"]
    assert list(found) == LABELS
    assert {int(seen): offset for seen, offset in found["agree.language"].items()} == dict(
        zip(policy.schedule.seen, policy.schedule.offset, strict=True)
    )
    assert policy.metadata["agree"] == {"language": "tiny-random", "video": "llava-small", "rl@tmaze": "tmaze"}
    more = ("--set", f"start={tmp_path / 'start' / 'policy'}", "--set", "generations=1")
    run("evolve", file, "--run", tmp_path / "with", *more)
    config = tmp_path / "start" / "policy" / "config.json"
    content = json.loads(config.read_text())
    content["metadata"]["schedules"]["agree.video"] = {"16": 1e9}  # would evict all that is not protected
    config.write_text(json.dumps(content))
    run("evolve", file, "--run", tmp_path / "none", *more)
    kept = [
        [line["kept"] for line in map(json.loads, (tmp_path / name / "journal.jsonl").read_text().splitlines()[1:4])]
        for name in ("with", "none")
    ]
    assert kept[0][0] == kept[1][0]
    assert kept[0][2] == kept[1][2]
    assert sum(each[0] for each in kept[1][1]) < sum(each[0] for each in kept[0][1])
    content["metadata"]["schedules"] = "many"
    config.write_text(json.dumps(content))
    assert "its schedules are not a mapping" in run("evolve", file, "--run", tmp_path / "bad", *more, code=2).output


def test_without_language_a_policy_has_no_schedule(run, tmp_path, file):
    run("warm-start", file, "--run", tmp_path / "run", "--set", "agree.language=null", "--set", "agree.video=null")
    policy = Namm.from_pretrained(tmp_path / "run" / "policy")
    assert policy.schedule.seen == ()
    assert list(policy.metadata["schedules"]) == ["agree.rl@tmaze"]


def test_tasks_and_sources_in_one_step(run, tmp_path, file):
    more = (
        "models=tiny-random",
        "dtype=float32",
        "update_every=64",
        "pool=2",
        "tasks.keys={task: key_retrieval, length: [200]}",
        "gradient.steps=1",
    )
    run("warm-start", file, "--run", tmp_path / "run", *(part for each in more for part in ("--set", each)))
    assert [*read_steps(tmp_path / "run")[0].loss] == ["keys", *LABELS]


def test_the_smallest_training_file(run, tmp_path):
    shown = run("train", FILE, "--run", tmp_path / "run").output
    assert "3 steps of gradients on agreement of tiny-random, llava-small and tmaze, 1 generation" in shown
    verdict = json.loads((tmp_path / "run" / "evolution" / "validation.json").read_text())
    assert [task["base"] for task in verdict["tasks"]] == [1.0, 1.0, 1.0]


def test_fresh_inputs_are_others_and_the_videos_of_a_folder_have_none(file):
    setup = make_setup(load_evolve_config(file, ["validation=3"]))
    fresh = setup.validation()
    assert len(fresh.fresh_shards()) == 9
    for name, source in fresh.agree.sources.items():
        assert (source.seed, source.count) == (setup.agree.sources[name].seed + 1, 3)
    changes = ["agree.language=null", "agree.rl@tmaze=null", "agree.video={benchmark: nextqa, data: nowhere}"]
    assert make_setup(load_evolve_config(file, changes)).validation().fresh_shards() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("agree.speech={model: x}", "agree.speech: unknown kind of source"),
        ("agree.language.updates=3", "agree.language: updates: unknown key"),
        ("agree={}", "tasks: none, and no source under agree; expected at least one of either"),
        ("tasks.keys={task: key_retrieval}", "models: missing; tasks need a base model"),
        ("agree.language.texts=python-topic", "agree.language: unknown text source 'python-topic': did you mean"),
        ("agree.language.model=tiny-randon", "agree.language: unknown model 'tiny-randon'"),
        (
            "agree.language.tokens=9000",
            "agree.language: tokens: 18000 tokens, repetition included: the context of tiny-random",
        ),
        (
            "agree.language.update_every=512",
            "agree.language: 200 tokens: the cache is never updated (update_every=512)",
        ),
        ("agree.language.update_every=40", "agree.language: update_every=40: expected a multiple"),
        (
            "agree.rl@tmaze.floor=64",
            "agree.rl@tmaze: floor: 64: keeps everything, since the last update comes after 64",
        ),
        ("agree.rl@tmaze.model=nowhere", "agree.rl@tmaze: "),
        ("agree.video.benchmark=nextqu", "agree.video: benchmark: unknown benchmark 'nextqu'"),
        ("samples=2", "agree.video: count: 1 inputs: expected at least samples = 2"),
        (
            "{models: tiny-random, dtype: bfloat16}",
            "agree.language: dtype: float32: the tasks read tiny-random in bfloat16",
        ),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(refused, tmp_path, file, change, message):
    changes = ["models=tiny-random", "dtype=bfloat16"] if change.startswith("{") else [change]
    options = [part for each in changes for part in ("--set", each)]
    line = refused("warm-start", file, "--run", tmp_path / "run", *options, "--dry-run")
    assert message in line
    assert not (tmp_path / "run").exists()


def test_keys_are_listed(run):
    for flag in ("--evolve", "--train"):
        shown = run("list", "configs", "--keys", flag).output
        assert "agree.video.question" in shown
        assert "agree.rl.floor" in shown
