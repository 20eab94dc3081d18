"""Commands in forks of this process, where torch is imported once, killed at a chosen file operation or moment."""

import contextlib
import gc
import itertools
import json
import os
import random
import shutil
import signal
import stat
import threading
import time
import traceback

from typer.testing import CliRunner

OPERATIONS = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "truncate")


def command(*arguments):
    """Runs a command line of namm-xmodal; anything but success is an error."""
    from namm_xmodal.cli.app import app

    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "120", "NO_COLOR": "1"})
    if result.exit_code:
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        raise AssertionError(result.output)
    return result.output


def in_fork(action, *, kill_at=None, kill_after=None):
    """Runs `action` in a fork; returns whether it ended by itself.

    Args:
        action: Called without arguments; what it raises is raised here as an AssertionError.
        kill_at: Its process kills itself before the file operation of this number, the first is 1. If that is an fsync,
            a part of what was written since is lost too.
        kill_after: It is killed after so many seconds.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        gc.disable()  # a fork that touches every object copies all of the memory
        trouble = b""
        try:
            _count_operations(kill_at)
            action()
        except BaseException:
            trouble = traceback.format_exc().encode()[-4000:]
        os.write(writing, b"ended" + trouble)
        os._exit(0)
    os.close(writing)
    timer = threading.Timer(kill_after, os.kill, (child, signal.SIGKILL)) if kill_after is not None else None
    if timer:
        timer.start()
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    if timer:
        timer.cancel()
        timer.join()
    os.waitpid(child, 0)
    assert said in (b"", b"ended"), said.decode()
    return said == b"ended"


def _count_operations(kill_at):
    numbers = itertools.count(1)

    def counted(name, operation):
        def run(*arguments, **options):
            if next(numbers) == kill_at:
                if name == "fsync":
                    _tear(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)
            return None if name == "fsync" else operation(*arguments, **options)  # no power is lost here

        return run

    for name in OPERATIONS:
        setattr(os, name, counted(name, getattr(os, name)))


def _tear(descriptor):
    """What was not synced may be lost: the last bytes of a file."""
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, max(0, found.st_size - 9))


def contents(folder):
    """Every file of a folder; those of JSON without what tells of the clock."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _content(path):
    if path.suffix == ".jsonl":
        lines = [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
        # What is left of an evaluation is done in another order; reports are in the order of the plan.
        return sorted(lines, key=json.dumps) if path.name == "results.jsonl" else lines
    return _timeless(json.loads(path.read_bytes())) if path.suffix == ".json" else path.read_bytes()


def _timeless(value):
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if "seconds" not in k and k not in ("created", "started")}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def whole_run(folder, start):
    """What an undisturbed run leaves; the folder is removed, so that others can use its name.

    It runs in this process, so that forks find everything imported.
    """
    start(folder)
    expected = contents(folder)
    shutil.rmtree(folder)
    return expected


def killed_at_every_operation(folder, start, again, alive=lambda folder: None, before=lambda folder: None):
    """Kills a run before each of its file operations and resumes it; asserts that it ends as if undisturbed.

    Args:
        folder: Of the run.
        start: Starts it, given the folder.
        again: Resumes it, or starts it again where there is nothing to resume.
        alive: Called after the kill: asserts what must hold at any moment.
        before: Called before each start: makes what it finds.

    Returns:
        How many operations there were.
    """
    before(folder)
    expected = whole_run(folder, start)
    for number in itertools.count(1):
        before(folder)
        if in_fork(lambda: start(folder), kill_at=number):
            assert contents(folder) == expected
            shutil.rmtree(folder)
            return number - 1
        alive(folder)
        assert in_fork(lambda: again(folder))
        _assert_same(contents(folder), expected, f"killed at operation {number}")
        shutil.rmtree(folder)


def killed_at_random(folder, start, again, kills, seed, but=()):
    """Kills a run at random moments, and its resumed runs too, until there were so many kills; asserts the same.

    Args:
        folder: Of the run.
        start: Starts it, given the folder.
        again: Resumes it.
        kills: How many.
        seed: Of the moments.
        but: Names of files that may differ.

    Returns:
        How many runs that took.
    """
    expected = whole_run(folder, start)
    began = time.perf_counter()
    assert in_fork(lambda: start(folder))
    usual, rng, runs = time.perf_counter() - began, random.Random(seed), 0
    while kills:
        shutil.rmtree(folder, ignore_errors=True)
        runs, act, killed = runs + 1, start, True
        while killed:
            killed = not in_fork(lambda act=act: act(folder), kill_after=rng.uniform(0, usual) if kills else None)
            act, kills = again, kills - killed
        _assert_same(
            {**contents(folder), **{name: expected[name] for name in but}}, expected, f"run {runs}, seed {seed}"
        )
    shutil.rmtree(folder)
    return runs


def _assert_same(found, expected, when):
    assert sorted(found) == sorted(expected), when
    for name in expected:
        if isinstance(expected[name], list):
            for line, (one, other) in enumerate(zip(found[name], expected[name], strict=True), start=1):
                assert one == other, f"{name}, line {line}, {when}: {one} is not {other}"
        assert found[name] == expected[name], f"{name}, {when}"
