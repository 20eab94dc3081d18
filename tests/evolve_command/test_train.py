"""`namm-xmodal train`: every stage, resumed after any of them, and mistakes in one line."""

import json

import numpy as np
import pytest
import torch

from namm_xmodal import Namm, pruned
from namm_xmodal.config import packaged_configs
from namm_xmodal.config.train import load_train_config
from namm_xmodal.errors import ConfigError
from namm_xmodal.language.tiny_random import build_tiny_random

FILES = [name for name in packaged_configs() if name.startswith("train/")]
LANGUAGE = ("--set", "traces.rl@tmaze=null", "--set", "generations=0")


def policy_of(folder):
    return Namm.from_pretrained(folder / "policy")


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_is_read(name):
    config = load_train_config(name)
    assert config.run.startswith("runs/")
    assert config.sources() or not isinstance(config.start, str)  # something to rank by, or somewhere to start
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")


def test_all_stages_of_the_smallest_file(run, tmp_path):
    shown = run("train", "train/smoke", "--run", tmp_path / "run").output
    assert "traces of 3 inputs of tiny-random, 1 input of tmaze" in shown
    assert f"the policy is in {tmp_path / 'run' / 'evolution' / 'policy'}" in shown.replace("\n", " ")
    made = policy_of(tmp_path / "run")
    assert [channel.name for channel in made.features.channels] == ["spectrogram", "key_novelty"]
    assert policy_of(tmp_path / "run" / "evolution").parameters.shape == made.parameters.shape
    assert made.metadata["traces"] == {"language": "tiny-random", "rl@tmaze": "tmaze"}
    losses = json.loads((tmp_path / "run" / "ranking.json").read_text())["losses"]
    assert len(losses) == 1 and losses[0] > 0
    assert (tmp_path / "run" / "plot.png").stat().st_size > 1000
    again = run("train", "train/smoke", "--run", tmp_path / "run").output
    assert "the policy is in" in again
    assert torch.equal(policy_of(tmp_path / "run").parameters, made.parameters)


def test_a_run_that_lost_its_later_stages_ends_as_it_would_have(run, tmp_path):
    run("train", "train/smoke", "--run", tmp_path / "whole", *LANGUAGE)
    run("train", "train/smoke", "--run", tmp_path / "cut", *LANGUAGE)
    cut = tmp_path / "cut"
    for name in (
        "gradient.npz",
        "gradient.jsonl",
        "ranking.json",
        "traces/language/about.json",
        "traces/language/0002.safetensors",
    ):
        (cut / name).unlink()
    run("train", "train/smoke", "--run", cut, *LANGUAGE)
    assert torch.equal(policy_of(cut).parameters, policy_of(tmp_path / "whole").parameters)


def test_the_ranking_beside_the_tasks_changes_the_steps(run, tmp_path):
    for weight in (0.0, 0.5):
        run("train", "train/smoke", "--run", tmp_path / f"{weight}", *LANGUAGE, "--set", f"keep_ranking={weight}")
    with_it, without = (policy_of(tmp_path / name).parameters for name in ("0.5", "0.0"))
    assert not torch.equal(with_it, without)
    start = json.loads((tmp_path / "0.5" / "ranking.json").read_text())["parameters"]
    assert np.abs(with_it[0].numpy() - np.array(start, dtype=np.float32))[:-1].max() < 0.1  # a few steps from there


def test_traces_of_another_run_serve_again(run, tmp_path):
    run("train", "train/smoke", "--run", tmp_path / "first", *LANGUAGE)
    statistics = f"statistics.path={tmp_path / 'first' / 'policy'}"
    shared = ("--set", f"recorded={tmp_path / 'first' / 'traces'}", "--set", statistics)
    run("train", "train/smoke", "--run", tmp_path / "second", *LANGUAGE, *shared)
    assert not (tmp_path / "second" / "traces").exists()
    assert torch.equal(policy_of(tmp_path / "first").parameters, policy_of(tmp_path / "second").parameters)


RANKING_ALONE = (*LANGUAGE, "--set", "gradient.steps=0")


def test_a_network_for_each_head_by_ranking_alone(run, tmp_path):
    by_head = (*RANKING_ALONE, "--set", "sharing=head", "--set", "traces.language.heads=9")
    shown = run("train", "train/smoke", "--run", tmp_path / "run", *by_head).output
    assert "of ranking a kv head, 0 steps of gradients" in shown.replace("\n", " ")
    made = policy_of(tmp_path / "run")
    model, _ = build_tiny_random()
    sets = model.config.num_hidden_layers * model.config.num_key_value_heads
    assert made.sharing == "head" and made.parameters.shape == (sets, 4335)
    assert len(made.parameters.unique(dim=0)) == sets
    with torch.no_grad(), pruned(model.eval(), made, update_every=64) as memory:
        model(torch.arange(128)[None], past_key_values=memory.cache())
    (tmp_path / "run" / "policy" / "config.json").unlink()
    run("train", "train/smoke", "--run", tmp_path / "run", *by_head)
    assert torch.equal(policy_of(tmp_path / "run").parameters, made.parameters)
    recorded = ("--set", f"recorded={tmp_path / 'run' / 'traces'}")
    for sharing, sets in (("layer", model.config.num_hidden_layers), ("model", 1)):
        other = (*by_head, *recorded, "--set", f"sharing={sharing}")
        assert (
            "was made with other traces"
            in run("train", "train/smoke", "--run", tmp_path / "run", *other, code=2).output
        )
        run("train", "train/smoke", "--run", tmp_path / sharing, *other)
        assert policy_of(tmp_path / sharing).parameters.shape == (sets, 4335)


def test_evolution_may_follow_the_ranking_and_gradients_are_not_undone(run, tmp_path):
    few = [*RANKING_ALONE, "--set", "generations=1"]
    run("train", "train/smoke", "--run", tmp_path / "run", *few)
    assert policy_of(tmp_path / "run" / "evolution").parameters.shape == (1, 4335)
    run("train", "train/smoke", "--run", tmp_path / "run", *LANGUAGE)
    before = policy_of(tmp_path / "run").parameters
    shown = run("train", "train/smoke", "--run", tmp_path / "run", *RANKING_ALONE, code=2).output
    assert "was made with gradient steps, but gradient.steps=0" in shown.replace("\n", " ")
    assert torch.equal(policy_of(tmp_path / "run").parameters, before)


def test_other_settings_do_not_enter_the_same_folder(run, tmp_path):
    run("train", "train/smoke", "--run", tmp_path / "run", *LANGUAGE)
    before = policy_of(tmp_path / "run").parameters
    shown = run("train", "train/smoke", "--run", tmp_path / "run", *LANGUAGE, "--set", "keep_ranking=0.1", code=2)
    assert "holds a warm start with other settings" in shown.output
    assert torch.equal(policy_of(tmp_path / "run").parameters, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("traces.speech={model: x}", "traces.speech: unknown kind of source"),
        ("traces.language.tokns=3", "traces.language: tokns: unknown key; did you mean tokens"),
        ("traces.language.count=0", "count"),
        ("ranking.across=2", "ranking.across: 2"),
        ("features=[spectogram]", "did you mean spectrogram"),
        ("traces={}", "traces"),
        ("keep_ranking=-1", "keep_ranking: -1"),
        ("sharing=head", "sharing: head: learns by ranking only"),
        ("sharing=heads", "sharing: 'heads': expected one of model, layer, head"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(run, tmp_path, change, message):
    shown = run("train", "train/smoke", "--run", tmp_path / "run", "--set", change, "--dry-run", code=2).output
    assert message in shown
    assert len(shown.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_files_of_other_commands_are_named(run):
    assert "namm-xmodal evolve evolve/smoke" in run("train", "evolve/smoke", "--dry-run", code=2).output
    assert "namm-xmodal train train/smoke" in run("evolve", "train/smoke", "--dry-run", code=2).output
    with pytest.raises(ConfigError, match="namm-xmodal eval language/smoke"):
        load_train_config("language/smoke")


def test_a_refused_run_stays_on_record(run, refused, tmp_path):
    """What made a policy must not be overwritten by settings that were refused."""
    place, small = tmp_path / "run", ("--set", "ranking.steps=3", "--set", "gradient.steps=0")
    run("train", "train/smoke", "--run", place, *small)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and path.name != ".lock"}
    for change in ("ranking.rate=0.004", "seed=7"):
        assert "choose another --run" in refused("train", "train/smoke", "--run", place, *small, "--set", change)
        assert "choose another --run" in refused(
            "train",
            "train/smoke",
            "--run",
            place,
            "--set",
            "ranking.steps=3",
            "--set",
            "gradient.steps=2",
            "--set",
            change,
        )
        assert {path: path.read_bytes() for path in before} == before


def test_recorded_says_what_does_not_fit(run, refused, tmp_path):
    small = ("--set", "ranking.steps=3", "--set", "gradient.steps=0")
    run("train", "train/smoke", "--run", tmp_path / "first", *small)
    again = ("train", "train/smoke", "--run", tmp_path / "second", *small)
    said = refused(*again, "--set", f"recorded={tmp_path / 'first'}")
    assert "has no finished traces of language; expected the folder `traces` of another run" in said
    said = refused(*again, "--set", f"recorded={tmp_path / 'first' / 'traces'}", "--set", "traces.language.seed=7")
    assert "source.seed 0, now 7); make them equal, or leave `recorded` out" in said
    assert "remove the folder" not in said
