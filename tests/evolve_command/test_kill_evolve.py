"""A run of evolution killed before any of its file operations: the policy is whole at once, and resume settles the rest."""

import shutil

import numpy as np
import pytest
from killing import command, contents, killed_at_every_operation

from namm_xmodal import Namm
from namm_xmodal.cli import evolve_session, evolve_setup
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.evolution.evaluators.in_process import InProcess
from namm_xmodal.evolution.objective import Shard, ShardResult
from namm_xmodal.evolution.record import read_run


class Toy:
    """An objective of the run's tasks and samples that needs no model."""

    def __init__(self, settings):
        self.settings = settings

    def build(self):
        return self

    def shards(self, generation):
        return [Shard(task, (generation,), model) for task in self.settings.tasks for model in self.settings.models]

    def evaluate(self, members, shard):
        wanted = np.random.default_rng([self.settings.seed, *shard.samples]).normal(size=members.shape[1])
        scores = np.exp(-np.square(members - wanted).mean(axis=1))[:, None]
        return ShardResult(scores, np.ones(1), 1 / (1 + np.exp(members[:, :1])), {})


@pytest.fixture
def cheap(monkeypatch, small, tmp_path):
    """Command lines of runs without a model, whose plot is the number of generations it shows."""
    monkeypatch.chdir(tmp_path)
    Namm.untrained("random", sigma=0.1, seed=1).save_pretrained(tmp_path / "policy")
    monkeypatch.setattr(evolve_setup, "_evaluator", lambda config, factory: InProcess(Toy(factory.tasks)))
    monkeypatch.setattr(
        evolve_session, "plot_evolution", lambda generations, path, title: replace_text(path, f"{len(generations)}\n")
    )
    return lambda *more: ("evolve", "evolve/smoke", *small(f"statistics.path={tmp_path / 'policy'}", *more))


def whole_policy(folder):
    """Whenever there is a policy, it is the answer after one of the last two generations of the journal."""
    if (folder / "policy" / "config.json").exists():
        done = len(read_run(folder).generations)
        assert Namm.from_pretrained(folder / "policy").metadata["generation"] in (done - 1, done - 2)


def test_a_new_run(cheap, tmp_path):
    start = cheap("generations=2")

    def again(folder):  # as a user would: resume, or start where there is nothing to resume
        resumable = (folder / "config.yaml").exists()
        command(*(("evolve", "--resume", folder) if resumable else (*start, "--run", folder)))

    count = killed_at_every_operation(
        tmp_path / "run", lambda folder: command(*start, "--run", folder), again, whole_policy
    )
    assert count > 80


def test_a_finished_run_that_is_extended(cheap, tmp_path):
    finished = tmp_path / "finished"
    command(*cheap("generations=1"), "--run", finished)

    def more(folder):
        command("evolve", "--resume", folder, "--set", "generations=2")

    count = killed_at_every_operation(
        tmp_path / "run", more, more, whole_policy, lambda folder: shutil.copytree(finished, folder)
    )
    assert count > 50


def test_resuming_a_finished_run_settles_what_is_stale(cheap, tmp_path):
    """Killed after the last generation's line: everything else in the folder is of the generation before."""
    folder, early = tmp_path / "run", tmp_path / "early"
    for place, generations in ((folder, 2), (early, 1)):
        command(*cheap(f"generations={generations}"), "--run", place)
    expected = contents(folder)
    for name in (
        "policy/config.json",
        "policy/model.safetensors",
        "mean.npy",
        "validation.json",
        "plot.png",
        "plot.svg",
    ):
        shutil.copy(early / name, folder / name)
    assert "2 samples are too few to compare" in command("evolve", "--resume", folder)
    assert contents(folder) == expected
    assert "finished, 2 of 2 generations" in command("evolve", "--resume", folder)
    assert contents(folder) == expected


def test_a_first_line_that_was_cut_off_is_neither_a_run_nor_in_the_way_of_one(cheap, tmp_path):
    folder, start = tmp_path / "run", cheap("generations=1")
    command(*start, "--run", folder)
    expected = contents(folder)
    for line in (start, ("evolve", "--resume", folder)):
        (folder / "journal.jsonl").write_bytes(b'{"kind":"run","format":1,"crea')
        command(*line, *(() if "--resume" in line else ("--run", folder)))
        assert contents(folder) == expected
