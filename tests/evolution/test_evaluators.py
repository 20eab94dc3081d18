"""Evaluators: where work is done, and who dies doing it, does not change a bit."""

import os
from pathlib import Path

import numpy as np
import pytest
from evolution_toys import N, ToyFactory

from namm_xmodal.errors import ConfigError, DataError, WorkerError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.evaluators.in_process import InProcess
from namm_xmodal.evolution.evaluators.pools import processes, ray_cluster
from namm_xmodal.evolution.record import read_run
from namm_xmodal.evolution.run import RunSettings, evolve
from namm_xmodal.evolution.table import build_strategy


def run(folder, evaluator, generations=3):
    strategy = build_strategy("snes", np.zeros(N), population=6)
    return evolve(strategy, evaluator, RunSettings(generations, config="abc"), folder)


def outcome(folder):
    record = read_run(folder)
    return record.history, [generation.tasks for generation in record.generations]


def workers_of(folder):
    import json

    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return {line["worker"] for line in lines if line["kind"] == "shard"}


FACTORY = ToyFactory(tasks=("a", "b", "c", "d"), seconds=0.01)


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    there = {"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}}  # on a cluster: an installed package
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error", runtime_env=there)
    yield ray
    ray.shutdown()


@pytest.mark.parametrize("trouble", ["die", "stop"])
def test_processes_with_a_killed_or_stopped_worker_give_the_same_bits(tmp_path, trouble):
    run(tmp_path / "here", InProcess(FACTORY))
    met = ToyFactory(**{**vars(FACTORY), "trouble": trouble, "marker": str(tmp_path / "met")})
    run(tmp_path / "there", processes(met, workers=2, silence=4))
    assert (tmp_path / "met").exists()
    assert outcome(tmp_path / "there") == outcome(tmp_path / "here")


def test_processes_replace_a_dead_worker(tmp_path):
    dying = ToyFactory(**{**vars(FACTORY), "trouble": "die", "marker": str(tmp_path / "died")})
    run(tmp_path / "there", processes(dying, workers=1))  # with one worker, only its successor can finish the run
    assert (tmp_path / "died").exists()
    assert "process 2" in workers_of(tmp_path / "there")


def test_ray_with_a_killed_actor_gives_the_same_bits(tmp_path, ray):
    run(tmp_path / "here", InProcess(FACTORY))
    dying = ToyFactory(**{**vars(FACTORY), "trouble": "die", "marker": str(tmp_path / "died")})
    run(tmp_path / "there", ray_cluster(dying, workers=2))
    assert (tmp_path / "died").exists()
    assert outcome(tmp_path / "there") == outcome(tmp_path / "here")
    assert ray.is_initialized()  # it was running before, so it stays up


def test_ray_replaces_a_stopped_actor(tmp_path, ray):
    stopping = ToyFactory(**{**vars(FACTORY), "trouble": "stop", "marker": str(tmp_path / "met")})
    run(tmp_path / "there", ray_cluster(stopping, workers=1, silence=6))
    assert (tmp_path / "met").exists()
    assert "actor 2" in workers_of(tmp_path / "there")


def test_ray_replaces_a_dead_actor(tmp_path, ray):
    dying = ToyFactory(**{**vars(FACTORY), "trouble": "die", "marker": str(tmp_path / "died")})
    run(tmp_path / "there", ray_cluster(dying, workers=1))
    assert (tmp_path / "died").exists()
    assert "actor 2" in workers_of(tmp_path / "there")


def test_ray_work_that_keeps_killing_is_one_line(tmp_path, ray):
    with pytest.raises(WorkerError, match="b, 4 samples: lost 2 workers") as caught:
        run(tmp_path, ray_cluster(ToyFactory(trouble="die"), workers=1, retries=1))
    assert "\n" not in str(caught.value)
    assert read_run(tmp_path).pending.keys() == {0}  # what was finished is kept


def test_ray_without_the_objective_on_the_nodes_is_one_line(tmp_path, ray):
    class Elsewhere(ToyFactory):
        def __reduce__(self):
            return __import__, ("not_installed_there",)

    with pytest.raises(WorkerError, match="ModuleNotFoundError: No module named 'not_installed_there'"):
        run(tmp_path, ray_cluster(Elsewhere(), workers=1))


def test_ray_errors_of_the_objective_come_home(tmp_path, ray):
    with pytest.raises(DataError, match=r"^a line for the user$"):
        run(tmp_path, ray_cluster(ToyFactory(trouble="user"), workers=1))


def test_work_that_keeps_killing_is_one_line(tmp_path):
    with pytest.raises(WorkerError, match=r"b, 4 samples: lost 2 workers \(exit code -9") as caught:
        run(tmp_path, processes(ToyFactory(trouble="die"), workers=1, retries=1))
    assert "\n" not in str(caught.value)
    assert read_run(tmp_path).pending.keys() == {0}
    run(tmp_path / "whole", InProcess(ToyFactory()))
    strategy = build_strategy("snes", np.zeros(N), population=6)
    evolve(strategy, InProcess(ToyFactory()), RunSettings(3, config="abc"), tmp_path, resume=True)
    assert outcome(tmp_path) == outcome(tmp_path / "whole")


def test_workers_that_die_before_they_are_ready_are_one_line(tmp_path):
    with pytest.raises(WorkerError, match=r"2 workers in a row were lost before they had work \(exit code 3\)"):
        run(tmp_path, processes(ToyFactory(trouble="unborn"), workers=1, retries=1))


@pytest.mark.parametrize(
    ("trouble", "kind", "message"),
    [("user", DataError, "^a line for the user$"), ("bug", WorkerError, "in a worker: ZeroDivisionError: ours at")],
)
def test_errors_of_the_objective_come_home(tmp_path, trouble, kind, message):
    with pytest.raises(kind, match=message):
        run(tmp_path, processes(ToyFactory(trouble=trouble), workers=1))


def test_what_cannot_be_sent_is_one_line(tmp_path):
    class Local(ToyFactory):
        pass

    with pytest.raises(WorkerError, match=r"cannot be sent to a process .*; define it at the top of a module"):
        run(tmp_path, processes(Local(), workers=1))


def test_leaving_early_ends_the_workers():
    evaluator = processes(ToyFactory(seconds=0.2), workers=2)
    shards = evaluator.shards(0)
    work = evaluator.evaluate(np.zeros((4, N)), shards)
    next(work)
    alive = [worker.process for worker in evaluator._pool._crew._workers.values()]
    work.close()
    assert evaluator._pool._crew is None
    assert not any(process.is_alive() for process in alive)
    again = sorted(done.index for done in evaluator.evaluate(np.zeros((4, N)), shards))  # starts anew
    assert again == [0, 1]
    evaluator.close()
    evaluator.close()


def test_work_goes_to_all_workers():
    evaluator = processes(ToyFactory(seconds=0.3), workers=2)
    shards = evaluator.shards(0)
    for _ in range(20):  # the second one may be late the first time
        results = {done.index: done for done in evaluator.evaluate(np.zeros((4, N)), shards)}
        if len({done.worker for done in results.values()}) == 2:
            break
    evaluator.close()
    assert {done.worker for done in results.values()} == {"process 1", "process 2"}
    assert digest(results[0].result.scores) != digest(results[1].result.scores)


def test_bad_numbers():
    with pytest.raises(ConfigError, match="workers=0"):
        processes(ToyFactory(), workers=0)
    with pytest.raises(ConfigError, match="retries=-1"):
        processes(ToyFactory(), workers=1, retries=-1)
