"""The machine that made a result: half-precision numbers, times and sometimes last bits depend on it."""

import os
import platform
from pathlib import Path

_CPUS = Path("/proc/cpuinfo")
_DECIDING = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16", "i8mm")
"""Extensions by which kernels of half precision are chosen, as /proc/cpuinfo names them on x86-64 and on ARM."""


def hardware(device: str) -> dict[str, str]:
    """Processor, instruction sets on which its kernels depend, cores, and the accelerator if a model runs on one.

    Args:
        device: Where the model runs: `cpu`, `cuda`, `cuda:1`, `mps`.
    """
    about = _about_the_processor()
    found = {
        "processor": about.get("model name", "") or platform.processor() or platform.machine(),
        "instructions": _instructions(about),
        "cores": str(os.cpu_count() or ""),
        "device": device,
    }
    if device != "cpu":
        found["accelerator"] = _accelerator(device)
    return {name: value for name, value in found.items() if value}


def _about_the_processor() -> dict[str, str]:
    """What the system says of its first core; nothing where there is no /proc."""
    try:
        text = _CPUS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    first_core = text.split("\n\n", 1)[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first_core)}


def _instructions(about: dict[str, str]) -> str:
    has = set((about.get("flags") or about.get("Features") or "").split())
    return " ".join(name for name in _DECIDING if name in has)


def _accelerator(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") and torch.cuda.is_available() else device
