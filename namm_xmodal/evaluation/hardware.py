"""Which machine made a result: numbers in half precision, times and sometimes last bits depend on it."""

import os
import platform
from pathlib import Path

_CPUS = Path("/proc/cpuinfo")


def hardware(device: str) -> dict[str, str]:
    """Processor, its cores, and the accelerator if a model runs on one.

    Args:
        device: Where the model runs: `cpu`, `cuda`, `cuda:1`, `mps`.
    """
    found = {"processor": _processor(), "cores": str(os.cpu_count() or ""), "device": device}
    return found | {"accelerator": _accelerator(device)} if device != "cpu" else found


def _processor() -> str:
    try:
        lines = _CPUS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _accelerator(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") and torch.cuda.is_available() else device
