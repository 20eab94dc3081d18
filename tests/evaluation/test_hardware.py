"""Records name the machine, with the instruction sets on which numbers in half precision depend."""

import pytest

from namm_xmodal.evaluation import hardware as module
from namm_xmodal.evaluation.hardware import hardware

INTEL = """processor\t: 0
model name\t: Some Xeon @ 2 GHz
flags\t\t: fpu sse avx avx2 avx512f amx_bf16 amx_tile

processor\t: 1
model name\t: Some Xeon @ 2 GHz
flags\t\t: fpu
"""
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd bf16 sve\n"


@pytest.mark.parametrize(
    ("text", "processor", "instructions"),
    [(INTEL, "Some Xeon @ 2 GHz", "avx2 avx512f amx_bf16"), (ARM, "named by the system", "asimd sve bf16")],
    ids=["x86-64", "ARM"],
)
def test_processor_and_instructions_are_read(monkeypatch, tmp_path, text, processor, instructions):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(module, "_CPUS", tmp_path / "cpuinfo")
    monkeypatch.setattr(module.platform, "processor", lambda: "named by the system")
    found = hardware("cpu")
    assert found["processor"] == processor and found["instructions"] == instructions
    assert found["device"] == "cpu" and "accelerator" not in found


def test_a_system_without_such_a_file_leaves_them_out(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_CPUS", tmp_path / "nothing")
    monkeypatch.setattr(module.platform, "processor", lambda: "arm")
    assert hardware("mps")["accelerator"] == "mps"
    assert "instructions" not in hardware("cpu") and hardware("cpu")["processor"] == "arm"
