"""Runs: what they tell, their stages, members without a score, collapse, bad settings."""

import json

import numpy as np
import pytest
from evolution_toys import Toy, ToyFactory, notices, run, settings, strategy

from namm_xmodal.errors import CheckpointError, ConfigError, DataError, EvolutionError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.evaluators.in_process import InProcess
from namm_xmodal.evolution.events import Finished, GenerationFinished, ShardFinished, Started
from namm_xmodal.evolution.history import replay
from namm_xmodal.evolution.objective import ShardResult
from namm_xmodal.evolution.record import read_run
from namm_xmodal.evolution.run import evolve
from namm_xmodal.evolution.saving import load_vector
from namm_xmodal.evolution.size_pressure import SizePressure


def test_a_run_improves_and_tells_what_it_does(tmp_path):
    events = []
    result = run(tmp_path / "run", generations=8, listeners=[events.append])
    assert [type(event) for event in events[:4]] == [Started, ShardFinished, ShardFinished, GenerationFinished]
    assert events[-1] == Finished(8, False)
    assert (result.fresh, result.interrupted) == (8, False)
    first, last = result.generations[0], result.generations[-1]
    assert last.total.mean > first.total.mean
    assert set(first.tasks) == {"a", "b"}
    assert first.total.best >= first.total.mean >= first.total.worst
    assert first.evaluations == 6 * 8
    assert {"ask", "plan", "evaluate", "tell", "worker/model"} <= set(first.seconds)
    assert first.weight == 0.1 and result.generations[1].weight == pytest.approx(0.12)
    assert np.array_equal(load_vector(tmp_path / "run" / "mean.npy"), result.mean)
    assert digest(result.mean) == last.mean


def test_a_strategy_is_replayed_to_the_state_of_another(tmp_path):
    result = run(tmp_path, generations=4)
    other = strategy()
    replay(other, read_run(tmp_path).history)
    assert digest(other.mean) == digest(result.mean)
    assert other.sigma == result.generations[-1].sigma


def test_a_stage_starts_in_the_state_of_the_stage_before(tmp_path):
    """Stage by stage equals one strategy that was told the same throughout, and survives the loss of its parents."""
    first = run(tmp_path / "1", generations=3)
    run(tmp_path / "2", plan=settings(3, config="stage 2", after=tmp_path / "1"), factory=ToyFactory(seed=5))
    record = read_run(tmp_path / "2")
    assert len(record.inherited) == 3 and len(record.history) == 6
    assert record.generations[0].generation == 0
    third = settings(2, config="stage 3", after=tmp_path / "2")
    run(tmp_path / "3", plan=third)
    reference = strategy()
    replay(reference, read_run(tmp_path / "3").history)
    assert digest(reference.mean) == read_run(tmp_path / "3").generations[-1].mean
    assert record.inherited[-1].mean == digest(first.mean)

    content = (tmp_path / "3" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "3" / "journal.jsonl").write_bytes(b"".join(content[:3]))
    for name in ("1", "2"):
        (tmp_path / name / "journal.jsonl").unlink()
    assert digest(run(tmp_path / "3", plan=third, resume=True).mean) == digest(reference.mean)


def test_a_stage_refuses_another_strategy(tmp_path):
    run(tmp_path / "1")
    with pytest.raises(ConfigError, match="needs the strategy, seed and start of the previous stage"):
        run(tmp_path / "2", plan=settings(after=tmp_path / "1"), options={"seed": 9})
    with pytest.raises(EvolutionError, match="expected the journal of a run"):
        run(tmp_path / "2", plan=settings(after=tmp_path / "none"))


def test_a_member_without_score_is_ranked_last_and_reported(tmp_path):
    events = []
    result = run(tmp_path, generations=2, factory=ToyFactory(trouble="nan"), listeners=[events.append])
    assert any("no finite score for 1 of 6 members (2): ranked last" in text for text in notices(events))
    assert result.generations[0].fitness[2] is None
    assert result.generations[0].failed == (2,)
    assert "NaN" not in (tmp_path / "journal.jsonl").read_text()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    again = run(tmp_path, generations=2, factory=ToyFactory(trouble="nan"), resume=True)
    assert digest(again.mean) == digest(result.mean)


def test_a_base_model_that_cannot_do_the_task(tmp_path):
    with pytest.raises(DataError, match="task a: the base model scores 0 on all 4 samples of the first generation"):
        run(tmp_path, factory=ToyFactory(trouble="no base"))


class Forgetful(Toy):
    """Scores by what is kept, as long as that is less than a quarter."""

    def evaluate(self, members, shard):
        wish = np.clip(4 * members.sum(axis=1, keepdims=True), -30, 30)
        kept = np.repeat(1 / (1 + np.exp(-wish)), len(shard.samples), axis=1)
        return ShardResult(np.minimum(1, 4 * kept), np.ones(len(shard.samples)), kept)


class ForgetfulFactory:
    def build(self):
        return Forgetful(ToyFactory())


@pytest.mark.parametrize(
    ("pressure", "collapses"),
    [(SizePressure(weight=8.0), True), (SizePressure("constrained", weight=8.0, floor=0.9, step=0.05), False)],
    ids=["far too heavy", "constrained"],
)
def test_collapse_is_flagged_and_a_constraint_avoids_it(tmp_path, pressure, collapses):
    events = []
    plan = settings(60, pressure=pressure)
    result = run(tmp_path, plan=plan, factory=ForgetfulFactory(), listeners=[events.append])
    assert result.generations[-1].collapsed == collapses
    assert sum("collapsed" in text for text in notices(events)) == collapses
    if not collapses:
        assert 0.15 < np.mean([generation.kept for generation in result.generations[-10:]]) < 0.5


def test_bad_settings(tmp_path):
    with pytest.raises(ConfigError, match="generations=0: expected at least 1"):
        run(tmp_path, generations=0)
    small = strategy()
    small.population = 3
    with pytest.raises(ConfigError, match="population=3: expected at least 4"):
        evolve(small, InProcess(ToyFactory()), settings(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_saved_vectors_are_checked(tmp_path):
    np.save(tmp_path / "matrix.npy", np.zeros((2, 2)))
    (tmp_path / "text.npy").write_text("no")
    for name in ("matrix.npy", "text.npy", "none.npy"):
        with pytest.raises(CheckpointError):
            load_vector(tmp_path / name)


def test_the_journal_is_plain_json(tmp_path):
    run(tmp_path, generations=1)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert kinds == ["run", "shard", "shard", "generation"]
