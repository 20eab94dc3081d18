"""Trackers mirror a run and cannot stop it."""

import sys

import numpy as np
import pytest
from evolution_toys import N, ToyFactory

from namm_xmodal.errors import MissingDependencyError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.evaluators.in_process import InProcess
from namm_xmodal.evolution.events import Notice
from namm_xmodal.evolution.run import RunSettings, evolve
from namm_xmodal.evolution.table import build_strategy
from namm_xmodal.evolution.tracking.tensorboard import TensorBoardTracker
from namm_xmodal.evolution.tracking.wandb import WandbTracker


class Recorder:
    """Keeps what it is given; `broken` names the verb that raises."""

    name = "recorder"

    def __init__(self, broken=""):
        self.broken = broken
        self.calls = []

    def start(self, run, config, first_step):
        self._note("start", run, config, first_step)

    def log(self, step, scalars):
        self._note("log", step, scalars)

    def close(self):
        self._note("close")

    def _note(self, verb, *values):
        self.calls.append((verb, *values))
        if verb == self.broken:
            raise RuntimeError("no\nnetwork")


def run(folder, trackers, generations=3, resume=False, listeners=()):
    strategy = build_strategy("snes", np.zeros(N), population=6)
    return evolve(
        strategy,
        InProcess(ToyFactory()),
        RunSettings(generations, config="abc", description={"task": "toy"}),
        folder,
        resume=resume,
        listeners=listeners,
        trackers=trackers,
    )


def test_what_is_logged(tmp_path):
    recorder = Recorder()
    result = run(tmp_path, [recorder])
    (start, identity, config, first), *logs, close = recorder.calls
    assert (start, first, close) == ("start", 0, ("close",))
    assert config["description"] == {"task": "toy"}
    assert [step for _, step, _ in logs] == [0, 1, 2]
    scalars = logs[-1][2]
    wanted = {"evolve/sigma", "evolve/rank_agreement", "cache/kept_fraction", "time/ask_s", "time/evaluate_s"}
    wanted |= {
        f"{what}/{which}" for what in ("evolve/fitness", "task/a", "task/b") for which in ("best", "mean", "worst")
    }
    assert wanted <= set(scalars)
    assert scalars["evolve/fitness/mean"] == result.generations[-1].total.mean
    assert all(isinstance(value, float) for value in scalars.values())

    resumed = Recorder()
    run(tmp_path, [resumed], generations=4, resume=True)
    assert resumed.calls[0][1] == identity  # the same run goes on
    assert resumed.calls[0][3] == 3
    assert [call[1] for call in resumed.calls if call[0] == "log"] == [3]


@pytest.mark.parametrize("broken", ["start", "log", "close"])
def test_a_tracker_that_fails_is_left_out_with_one_notice(tmp_path, broken):
    events, healthy = [], Recorder()
    result = run(tmp_path / "a", [Recorder(broken), healthy], listeners=[events.append])
    said = [event.text for event in events if isinstance(event, Notice)]
    assert said == ["recorder failed and is disabled (no network); the journal is complete"]
    assert digest(result.mean) == digest(run(tmp_path / "b", []).mean)
    assert len(healthy.calls) == 5


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(tmp_path, [TensorBoardTracker(tmp_path / "tensorboard")])
    run(tmp_path, [TensorBoardTracker(tmp_path / "tensorboard")], generations=5, resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    logged = events.Scalars("evolve/fitness/mean")
    assert [point.step for point in logged] == [0, 1, 2, 3, 4]
    assert logged[2].value == pytest.approx(result.generations[2].total.mean, rel=1e-6)


def test_wandb_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    events = []
    run(tmp_path, [WandbTracker(tmp_path / "tracking")], listeners=[events.append])
    assert not [event for event in events if isinstance(event, Notice)]
    assert list(tmp_path.rglob("*.wandb"))


@pytest.mark.parametrize(
    ("module", "tracker"),
    [("tensorboard.summary.writer.event_file_writer", TensorBoardTracker), ("wandb", WandbTracker)],
)
def test_a_missing_extra_is_one_line(tmp_path, monkeypatch, module, tracker):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'namm-xmodal\[tracking\]'"):
        tracker(tmp_path)


def test_a_missing_ray_is_one_line(monkeypatch):
    from namm_xmodal.evolution.evaluators.pools import ray_cluster

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'namm-xmodal\[ray\]'"):
        ray_cluster(ToyFactory(), workers=1)
