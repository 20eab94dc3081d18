"""A Ray that dies itself ends a run in time, with one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal
from worker_toys import Squares, sleep, tasks
from namm_xmodal.errors import WorkerError
from namm_xmodal.workers.ray_actors import ray_pool

def kin(pid):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()
            name = open(f"/proc/{entry}/cmdline").read()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [(int(entry), name), *kin(int(entry))]
    return found

work = ray_pool(Squares(), 1).run(tasks([0.0, 600.0], sleep))
next(work)
(agent,) = [pid for pid, name in kin(os.getpid()) if name.startswith("ray::DashboardAgent")
            or "dashboard/agent.py" in name and "raylet/raylet" not in name]
os.kill(agent, signal.SIGKILL)  # Ray's own process on this machine, the raylet, ends with it
try:
    next(work)
except WorkerError as error:
    print("LINE", error)
"""


def test_a_killed_agent_is_one_line():
    pytest.importorskip("ray")
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("LINE")] or [done.stderr]
    assert "Ray on this machine is dead" in line
    assert "resume" in line
