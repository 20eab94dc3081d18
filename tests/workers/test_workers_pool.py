"""Whatever happens to a worker, the results are the same, or there is one line."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from child_processes import heed_ctrl_c
from worker_toys import Squares, fail, pid, sleep, tasks

from namm_xmodal.errors import ConfigError, NammError, UnknownNameError, WorkerError
from namm_xmodal.workers import pool as pool_module
from namm_xmodal.workers.messages import Answer, Lost
from namm_xmodal.workers.pool import Pool
from namm_xmodal.workers.processes import process_pool

NUMBERS = range(1, 7)
RIGHT = [number * number for number in NUMBERS]


def results(pool, ahead=4):
    with closing(pool):
        return [done.content for done in pool.run(tasks(NUMBERS), ahead=ahead)]


@pytest.mark.parametrize("when", ["start", "work", "send"])
@pytest.mark.parametrize("what", ["die", "stop"])
def test_a_worker_killed_or_stopped_costs_nothing(tmp_path, monkeypatch, when, what):
    monkeypatch.setattr(pool_module, "START", 4.0)  # with one worker, only its successor can finish
    trouble = Squares(f"{when} {what}", str(tmp_path / "met"))
    started = time.monotonic()
    assert results(process_pool(trouble, 1, silence=3)) == RIGHT
    assert (tmp_path / "met").exists()
    assert time.monotonic() - started < 40


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_killed_or_stopped_while_idle_costs_nothing(how):
    with closing(process_pool(Squares(), 1, silence=3, retries=1)) as pool:
        (first,) = pool.run(tasks([1], pid))
        os.kill(first.content, how)
        time.sleep(0.2)
        assert [done.content for done in pool.run(tasks(NUMBERS), ahead=1)] == RIGHT
        (last,) = pool.run(tasks([1], pid))
    assert last.content != first.content
    assert not alive(first.content)


@pytest.mark.parametrize(
    ("trouble", "silence", "line"),
    [
        (
            "work die",
            60,
            r"^the square of 3: lost 2 workers \(exit code -9, usually a lack of memory: use",
        ),
        (
            "work exit",
            60,
            r"^the square of 3: lost 2 workers \(exit code 3\); partial results are saved, run",
        ),
        (
            "work stop",
            1,
            r"^the square of 3: lost 2 workers .*no answer for 1 s: stopped or hanging; raise `silence` if",
        ),
        ("send die", 60, r"^the square of 3: lost 2 workers \(exit code -9"),
        ("start exit", 60, r"^2 workers in a row were lost before they had work \(exit code 3\); check their output"),
        ("start stop", 1, r"^2 workers in a row were lost before they had work \(no answer for 1 s"),
        ("refuse", 60, r"^there is no model$"),
    ],
)
def test_trouble_that_stays_is_one_line(monkeypatch, trouble, silence, line):
    monkeypatch.setattr(pool_module, "START", 1.0)
    with pytest.raises(NammError, match=line) as caught:
        results(process_pool(Squares(trouble), 1, retries=1, silence=silence))
    assert "\n" not in str(caught.value)


def test_a_lost_task_may_be_a_result_of_its_own():
    def lost(task, losses, last):
        assert isinstance(last, Lost)
        return task.what, losses

    with closing(process_pool(Squares("work exit"), 2, retries=1)) as pool:
        found = [done.content for done in pool.run(tasks(NUMBERS), ahead=4, lost=lost)]
    assert found == [1, 4, ("the square of 3", 2), 16, 25, 36]


@pytest.mark.parametrize(
    ("kind", "error", "line"),
    [
        ("name", UnknownNameError, r"^unknown policy 'h2': did you mean h2o"),
        ("local", NammError, "^a class of its own$"),
        ("fault", WorkerError, r"^in a worker: ZeroDivisionError: ours, in two lines at .*worker_toys\.py:\d+\n"),
        ("lambda", WorkerError, "^in a worker: .*"),
    ],
)
def test_errors_of_the_work_come_home_as_they_are(kind, error, line):
    with closing(process_pool(Squares(), 1)) as pool, pytest.raises(error, match=line) as caught:
        list(pool.run(tasks([kind], fail)))
    if kind == "name":
        assert (caught.value.name, caught.value.known) == ("h2", ["h2o", "full"])
    assert "\n" not in str(caught.value)
    if kind == "fault":
        assert "in fail" in caught.value.__notes__[0]  # the traceback, for whoever looks for the fault


def test_large_answers_and_calls():
    with closing(process_pool(Squares(), 1)) as pool:
        assert [len(done.content) for done in pool.run(tasks(["y" * 30_000_000], fail))] == [50_000_000]


def test_what_cannot_be_sent_is_one_line():
    with closing(process_pool(Squares(), 1)) as pool, pytest.raises(WorkerError, match="define it at the top of a mod"):
        list(pool.run(tasks([1], lambda number, squares: number)))
    with pytest.raises(WorkerError, match="define it at the top of a module"):
        list(process_pool(lambda: None, 1).run(tasks([1])))


@pytest.mark.parametrize("options", [{"workers": 0}, {"retries": -1}, {"silence": 0}, {"silence": float("nan")}])
def test_numbers_out_of_range(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        process_pool(Squares(), **{"workers": 1, **options})


def test_leaving_early_ends_the_workers_and_the_pool_can_be_used_again():
    pool = process_pool(Squares(), 2)
    work = pool.run(tasks([0.0, 0.0, 600.0, 600.0], sleep))
    pids = {next(work).content, next(work).content}
    work.close()
    assert not any(alive(each) for each in pids)
    assert results(pool) == RIGHT


class Scripted:
    """A crew that answers at once, with a clock of its own."""

    def __init__(self):
        self.begun, self.waits, self.answers, self.now = [], [], [], 0.0

    def start(self):
        self.answers.append(("only", Answer()))
        return "only"

    def send(self, name, call):
        self.begun.append(call)
        self.answers.append((name, Answer(call(Squares()))))
        return True

    def wait(self, seconds):
        self.waits.append(seconds)
        if len(self.waits) < 4:
            self.now += 10_000.0  # Ctrl-Z, and fg in the morning
            return []
        self.now += 0.01
        return [self.answers.pop(0)] if self.answers else []

    def stop(self, name):
        raise AssertionError(f"{name} was given up")

    def close(self):
        pass


def test_a_run_that_was_stopped_itself_blames_no_worker(monkeypatch):
    crew = Scripted()
    monkeypatch.setattr(time, "monotonic", lambda: crew.now)
    assert results(Pool(lambda: crew, 1, silence=60.0)) == RIGHT
    assert crew.now > 20_000


def test_no_more_is_begun_than_was_asked_for():
    crew = Scripted()
    work = Pool(lambda: crew, 1).run(tasks(NUMBERS), ahead=3)
    for taken in range(1, 5):
        assert next(work).content == taken * taken
        assert len(crew.begun) <= taken + 3
    work.close()


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from worker_toys import Squares, sleep, tasks
from namm_xmodal.workers.processes import process_pool

if __name__ == "__main__":
    work = process_pool(Squares(), 2).run(tasks([0.0, 0.0, 600.0, 600.0], sleep))
    pids = next(work).content, next(work).content
    print(*pids, flush=True)
    if sys.argv[2] == "end":  # with workers at work, one of them stopped
        os.kill(pids[0], signal.SIGSTOP)
        sys.exit()
    try:
        next(work)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize("how", ["interrupt", "kill", "end"])
def test_ctrl_c_is_the_parents_and_no_worker_outlives_it(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parents[1]), how],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    pids = [int(each) for each in parent.stdout.readline().split()]
    assert len(pids) == 2
    time.sleep(0.3)  # both sleep again
    if how == "interrupt":
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
    elif how == "kill":
        parent.kill()
    output, errors = parent.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while any(alive(each) for each in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(each) for each in pids)
    assert "Traceback" not in errors
    if how == "interrupt":
        assert (output, parent.returncode) == ("interrupted\n", 0)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
