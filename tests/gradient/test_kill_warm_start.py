"""A warm start killed before any of its file operations ends as one that was left alone: no step misses in its journal."""

from contextlib import contextmanager

import numpy as np
import pytest
from killing import command, killed_at_every_operation

from namm_xmodal import Namm
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.gradient import SampleGradient
from namm_xmodal.gradient import run as gradient_run
from namm_xmodal.gradient.run import read_steps
from namm_xmodal.report import warm_start as picture


@contextmanager
def made_up(factory, workers, silence):
    """Gradients that are a function of the point and the sample."""

    def take(point, shards):
        results = []
        for shard in shards:
            rng = np.random.default_rng(list(shard.samples))
            gradient = point.parameters - rng.normal(size=len(point.parameters))
            results.append(
                SampleGradient(float(rng.random()), 0.5, {64: 0.1}, gradient, rng.normal(size=len(gradient)))
            )
        return results

    yield take


@pytest.fixture
def start(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Namm.untrained("random", sigma=0.1, seed=1).save_pretrained(tmp_path / "policy")
    monkeypatch.setattr(gradient_run, "gradients", made_up)
    monkeypatch.setattr(picture, "plot_warm_start", lambda steps, path, title: replace_text(path, f"{len(steps)}\n"))
    options = ("gradient.steps=2", f"statistics.path={tmp_path / 'policy'}", "samples=1", "pool=2")
    return ("warm-start", "evolve/smoke", *(part for each in options for part in ("--set", each)))


def test_at_every_file_operation(start, tmp_path):
    folder = tmp_path / "run"
    count = killed_at_every_operation(folder, go := lambda folder: command(*start, "--run", folder), go)
    assert count > 40


def test_a_line_that_is_being_written_is_left_out(start, tmp_path):
    folder = tmp_path / "run"
    command(*start, "--run", folder)
    with (folder / "gradient.jsonl").open("ab") as file:
        file.write(b'{"kind": "step", "step": 3, "bud')
    assert [step.step for step in read_steps(folder)] == [1, 2]
