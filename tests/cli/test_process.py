"""What only a process of its own can show: start-up time, Ctrl-C, pipes."""

import os
import resource
import signal
import subprocess
import sys
import time

from child_processes import heed_ctrl_c

COMMAND = [sys.executable, "-m", "namm_xmodal.cli"]


def test_help_is_fast():
    # CPU time of the whole process: wall time would measure the neighbours on a shared machine. Nothing in it waits.
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*COMMAND, "--help"], stdout=subprocess.PIPE, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 1.0, times


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom namm_xmodal.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'pydantic', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


def test_ctrl_c_keeps_results_and_the_same_command_goes_on(tmp_path):
    many = ["tasks.key_retrieval=null", "tasks.next_token.n=60", "tasks.next_token.length=[1024]"]
    command = [
        *COMMAND,
        "eval",
        "language/smoke",
        "--output",
        str(tmp_path),
        *(part for each in many for part in ("--set", f"language.{each}")),
    ]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    journal = tmp_path / "results.jsonl"
    deadline = time.monotonic() + 60
    while (
        process.poll() is None
        and time.monotonic() < deadline
        and not (journal.exists() and journal.read_bytes().count(b"\n") > 4)
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "partial results are saved" in errors
    assert "Traceback" not in errors
    lines = journal.read_bytes()
    assert lines.endswith(b"\n")
    assert lines.count(b"\n") > 4


def test_a_closed_pipe_is_no_error():
    process = subprocess.run(
        f"{sys.executable} -m namm_xmodal.cli list policies | head -n 1", shell=True, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "Traceback" not in process.stderr
