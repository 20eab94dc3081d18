"""Whatever stops a run, at any byte, it resumes to the bits of a run that was left alone."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from evolution_toys import Toy, ToyFactory, notices, run, settings

from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.events import Finished, GenerationFinished, ShardFinished
from namm_xmodal.evolution.record import read_run
from namm_xmodal.evolution.size_pressure import SizePressure


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
        assert any("incomplete last line" in text for text in notices(events)) == (cut not in ends and cut > 0)
        assert [generation.fitness for generation in again.generations] == [g.fitness for g in whole.generations]
        assert [generation.weight for generation in again.generations] == [g.weight for g in whole.generations]


SESSION = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from evolution_toys import ToyFactory, run
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
        process = subprocess.Popen([sys.executable, "-c", SESSION, folder, Path(__file__).parent])
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
    assert any("finished earlier, 5 of 5 generations" in text for text in notices(events))
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
    with pytest.raises(EvolutionError, match="has other members or samples"):
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
    with pytest.raises(EvolutionError, match="a run already exists here; use --resume"):
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


def test_two_sessions_of_one_run(tmp_path):
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
from evolution_toys import run
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
        patch.setattr("namm_xmodal.disk.whole_file.os.replace", full)
        with pytest.raises(EvolutionError, match="the disk is full, free some space and resume"):
            run(tmp_path, generations=2, resume=True)
    assert (tmp_path / "mean.npy").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.jsonl", "mean.npy"]
    assert digest(run(tmp_path, generations=3, resume=True).mean) == digest(run(tmp_path / "b", generations=3).mean)


def test_every_line_is_on_disk_before_the_run_goes_on(tmp_path, monkeypatch):
    synced = []
    plain = os.fsync
    monkeypatch.setattr("namm_xmodal.disk.append_only.os.fsync", lambda fd: (synced.append(fd), plain(fd)))
    sizes = []

    def look(event):
        if isinstance(event, ShardFinished | GenerationFinished):
            sizes.append((len(synced), (tmp_path / "journal.jsonl").read_bytes().count(b"\n")))

    run(tmp_path, generations=1, listeners=[look])
    assert [lines for _, lines in sizes] == [2, 3, 4]
    assert all(count >= lines for count, lines in sizes)
