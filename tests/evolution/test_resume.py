"""Runs: whatever stops one, at any byte, it resumes to the bits of a run that was left alone."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from evolution_toys import N, Toy, ToyFactory

from namm_xmodal.errors import CheckpointError, ConfigError, DataError, EvolutionError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.evaluators.in_process import InProcess
from namm_xmodal.evolution.events import Finished, GenerationFinished, Notice, ShardFinished, Started
from namm_xmodal.evolution.objective import ShardResult
from namm_xmodal.evolution.record import read_run
from namm_xmodal.evolution.run import RunSettings, evolve
from namm_xmodal.evolution.saving import load_vector
from namm_xmodal.evolution.size_pressure import SizePressure
from namm_xmodal.evolution.table import build_strategy
from namm_xmodal.evolution.told import replay

PRESSURE = SizePressure("constrained", weight=0.4, start=0.1, floor=0.9, step=0.02)


def strategy(name="cma", **options):
    return build_strategy(name, np.zeros(N), **{"population": 6, "seed": 1, **options})


def settings(generations=5, **fields):
    return RunSettings(generations, **{"config": "abc", "pressure": PRESSURE, **fields})


def run(folder, *, generations=5, factory=None, resume=False, plan=None, name="cma", listeners=(), options=None):
    return evolve(
        strategy(name, **(options or {})),
        InProcess(factory or ToyFactory()),
        plan or settings(generations),
        folder,
        resume=resume,
        listeners=listeners,
    )


def notices(events):
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.fixture
def counted(monkeypatch):
    """Shards that were evaluated."""
    seen = []
    plain = Toy.evaluate

    def evaluate(self, members, shard):
        seen.append(shard)
        return plain(self, members, shard)

    monkeypatch.setattr(Toy, "evaluate", evaluate)
    return seen


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


@pytest.mark.parametrize("name", ["cma", "snes", "openai_es", "optimal_weights", "random_search"])
def test_resume_after_any_cut_of_the_journal_is_bit_identical(tmp_path, name, counted):
    whole = run(tmp_path / "whole", generations=4, name=name)
    assert len(counted) == 8
    content = (tmp_path / "whole" / "journal.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    cuts = {0, 1, *ends, *(end - 1 for end in ends), *(end + 5 for end in ends[:-1])}
    for cut in sorted(cuts):
        folder = tmp_path / f"cut {cut}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(content[:cut])
        del counted[:]
        events = []
        again = run(folder, generations=4, name=name, resume=True, listeners=[events.append])
        assert digest(again.mean) == digest(whole.mean)
        lines = content[:cut].split(b"\n")[:-1]
        assert len(counted) == 8 - sum(
            b'"kind":"shard"' in line for line in lines
        )  # what the journal holds is never evaluated again
        assert any("cut off" in text for text in notices(events)) == (cut not in ends and cut > 0)
        assert [generation.fitness for generation in again.generations] == [g.fitness for g in whole.generations]
        assert [generation.weight for generation in again.generations] == [g.weight for g in whole.generations]


SITTING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_resume import ToyFactory, run
folder = Path(sys.argv[1])
run(folder, generations=10, factory=ToyFactory(seconds=0.03), resume=(folder / "journal.jsonl").exists())
"""


def test_resume_after_sigkill_at_random_moments_is_bit_identical(tmp_path):
    run(tmp_path / "whole", generations=10)
    folder = tmp_path / "killed"
    journal = folder / "journal.jsonl"
    chance = random.Random(os.getpid())
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", SITTING, folder, Path(__file__).parent])
        lines = journal.read_bytes().count(b"\n") if journal.exists() else 0
        aim = lines + chance.randint(1, 8)
        while process.poll() is None and kills < 4:
            if journal.exists() and journal.read_bytes().count(b"\n") >= aim:
                time.sleep(chance.random() * 0.05)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        if process.wait() == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
    assert kills >= 2
    assert (folder / "mean.npy").read_bytes() == (tmp_path / "whole" / "mean.npy").read_bytes()
    assert read_run(folder).history == read_run(tmp_path / "whole").history


def test_resume_of_a_finished_run_says_so(tmp_path, counted):
    first = run(tmp_path)
    before = (tmp_path / "journal.jsonl").read_bytes()
    del counted[:]
    events = []
    again = run(tmp_path, resume=True, listeners=[events.append])
    assert any("already finished, 5 of 5 generations" in text for text in notices(events))
    assert again.fresh == 0 and not counted
    assert digest(again.mean) == digest(first.mean)
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_resume_with_more_generations_goes_on(tmp_path):
    run(tmp_path / "a", generations=3)
    longer = run(tmp_path / "a", generations=6, resume=True)
    assert longer.fresh == 3
    assert digest(longer.mean) == digest(run(tmp_path / "b", generations=6).mean)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan": settings(config="xyz")}, "another configuration .abc, this one is xyz"),
        ({"plan": settings(seed=7)}, "another seed"),
        ({"plan": settings(pressure=SizePressure())}, "another size pressure"),
        ({"name": "snes"}, "another strategy"),
        ({"options": {"seed": 8}}, "another strategy"),
    ],
)
def test_resume_refuses_a_foreign_journal_and_leaves_it_alone(tmp_path, change, message):
    run(tmp_path)
    before = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(EvolutionError, match=message) as caught:
        run(tmp_path, resume=True, **change)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_resume_refuses_other_samples_in_an_open_generation(tmp_path):
    run(tmp_path, generations=2)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))  # header and one shard
    with pytest.raises(EvolutionError, match="of other members or samples"):
        run(tmp_path, generations=2, resume=True, factory=ToyFactory(seed=99))


def test_resume_notices_a_population_that_cannot_be_drawn_again(tmp_path):
    run(tmp_path)
    path = tmp_path / "journal.jsonl"
    text = path.read_text()
    first = read_run(tmp_path).generations[0].members
    path.write_text(text.replace(first, "0" * 64))
    with pytest.raises(EvolutionError, match="replay differs from the journal at step 0: population"):
        run(tmp_path, resume=True)


def test_nothing_to_resume_and_something_not_to_overwrite(tmp_path):
    with pytest.raises(EvolutionError, match="nothing to resume; start the run without --resume"):
        run(tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()
    run(tmp_path / "run")
    with pytest.raises(EvolutionError, match="a run is here already; use --resume"):
        run(tmp_path / "run")


@pytest.mark.parametrize("line", ["not json", "[1]", '{"kind": "shard"}', '{"kind": "x"}', '{"kind": "generation"}'])
def test_resume_refuses_edited_lines(tmp_path, line):
    run(tmp_path)
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(EvolutionError, match="line 17") as caught:
        run(tmp_path, resume=True)
    assert "\n" not in str(caught.value)


def test_resume_refuses_another_format(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"kind":"run","format":99}\n')
    with pytest.raises(EvolutionError, match="format 99, this version reads 1"):
        run(tmp_path, resume=True)


def test_two_sittings_of_one_run(tmp_path):
    def second(event):
        if isinstance(event, ShardFinished):
            with pytest.raises(EvolutionError, match="in use by another run"):
                run(tmp_path, resume=True)

    run(tmp_path, generations=1, listeners=[second])


def test_ctrl_c_at_any_event_then_resume(tmp_path):
    whole = run(tmp_path / "whole", generations=3)
    for moment in range(1, 9):
        events = []

        def interrupt(event, events=events, moment=moment):
            events.append(event)
            if len(events) == moment and not isinstance(event, Finished):
                raise KeyboardInterrupt

        result = run(tmp_path / str(moment), generations=3, listeners=[interrupt])
        assert result.interrupted
        assert "interrupted in generation" in notices(events)[-1]
        assert digest(run(tmp_path / str(moment), generations=3, resume=True).mean) == digest(whole.mean)


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_resume import run
from namm_xmodal.errors import EvolutionError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
try:
    run(Path(sys.argv[1]), generations=50)
except EvolutionError as error:
    print(error)
"""


def test_full_disk_is_one_line_and_the_run_resumes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "full", Path(__file__).parent],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 1
    assert "the disk is full, free some space and resume; all lines before it are kept" in done.stdout
    content = (tmp_path / "full" / "journal.jsonl").read_bytes()
    assert content.endswith(b"\n") and len(content) <= 8000
    generations = len(read_run(tmp_path / "full").generations)
    assert 0 < generations < 50
    again = run(tmp_path / "full", generations=generations + 2, resume=True)
    assert digest(again.mean) == digest(run(tmp_path / "whole", generations=generations + 2).mean)


def test_full_disk_for_the_answer_keeps_the_old_one(tmp_path, monkeypatch):
    run(tmp_path, generations=1)
    before = (tmp_path / "mean.npy").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("namm_xmodal.evolution.saving.os.replace", full)
        with pytest.raises(EvolutionError, match="the disk is full, free some space and resume"):
            run(tmp_path, generations=2, resume=True)
    assert (tmp_path / "mean.npy").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.jsonl", "mean.npy"]
    assert digest(run(tmp_path, generations=3, resume=True).mean) == digest(run(tmp_path / "b", generations=3).mean)


def test_every_line_is_on_disk_before_the_run_goes_on(tmp_path, monkeypatch):
    synced = []
    plain = os.fsync
    monkeypatch.setattr("namm_xmodal.evolution.journal.os.fsync", lambda fd: (synced.append(fd), plain(fd)))
    sizes = []

    def look(event):
        if isinstance(event, ShardFinished | GenerationFinished):
            sizes.append((len(synced), (tmp_path / "journal.jsonl").read_bytes().count(b"\n")))

    run(tmp_path, generations=1, listeners=[look])
    assert [lines for _, lines in sizes] == [2, 3, 4]
    assert all(count >= lines for count, lines in sizes)


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
    with pytest.raises(ConfigError, match="goes on with the strategy, seed and start of the stage before"):
        run(tmp_path / "2", plan=settings(after=tmp_path / "1"), options={"seed": 9})
    with pytest.raises(EvolutionError, match="no journal of a run there"):
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
