"""CPU time and peak memory of a call, in this process; and policies at equal sizes."""

import ctypes
import gc
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from time import process_time
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def at_budget(kind: Any, budget: float) -> Any:
    """A policy of the table with a budget; with its defaults if it decides its size by itself."""
    sized = any(field.name == "budget" for field in fields(kind))
    return kind(budget=budget) if sized else kind()


def cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of the process during `call`, and its result."""
    start = process_time()
    result = call()
    return process_time() - start, result


def peak_mib(call: Callable[[], Any]) -> tuple[float, Any]:
    """Most resident memory during `call` above what was resident before (MiB, Linux), and the call's result."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # give back what earlier calls freed, or it would hide this call's memory
    _CLEAR.write_text("5")  # the kernel forgets the old peak
    before = _status("VmRSS")
    result = call()
    return (_status("VmHWM") - before) / 1024, result


def _status(name: str) -> int:
    """A size of /proc/self/status in KiB."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"no {name} in {_STATUS}")
