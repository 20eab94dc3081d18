"""Models whose weights are stored in fewer bits, or elsewhere than where they compute, are pruned like any other."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from families import tiny

from namm_xmodal import KeyDiff, pruned
from namm_xmodal.adapters.verdict import verdict_of

BESIDE = Path(sys.prefix) / "beside"
"""Where `make install` puts torchao, which no other test should see."""
EIGHT_BITS = """
import sys, torch
from families import tiny
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from namm_xmodal.adapters.verdict import verdict_of
torch.set_grad_enabled(False)
for name in ("llama", "qwen3", "gemma3"):
    model, ids = tiny(name).float().eval(), torch.arange(3, 40)[None]
    before = model(ids).logits
    quantize_(model, Int8WeightOnlyConfig())
    print(name, type(model.model.layers[0].self_attn.q_proj.weight).__name__, torch.equal(before, model(ids).logits))
    print(verdict_of(model))
"""


@pytest.mark.skipif(not (BESIDE / "torchao").is_dir(), reason="torchao comes with `make install`")
def test_weights_of_eight_bits_are_exact():
    paths = os.pathsep.join([str(BESIDE), str(Path(__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_BITS], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    exact = "exact, by the adapter language"
    expected = [line for name in ("llama", "qwen3", "gemma3") for line in (f"{name} Int8Tensor False", exact)]
    assert done.stdout.splitlines() == expected, done.stderr


@pytest.mark.parametrize("offload", [disk_offload, cpu_offload], ids=["disk", "cpu"])
def test_weights_that_are_fetched_layer_by_layer_are_exact(tmp_path, offload):
    plain = copy.deepcopy(tiny("llama")).float().eval()
    model = copy.deepcopy(plain)
    where = (tmp_path,) if offload is disk_offload else ()
    offload(model, *where, execution_device=torch.device("cpu"))
    assert next(model.parameters()).device.type == "meta"
    assert str(verdict_of(model)) == "exact, by the adapter language"
    ids, results = torch.randint(3, 97, (1, 64), generator=torch.Generator().manual_seed(0)), []
    for each in (plain, model):
        with torch.no_grad(), pruned(each, KeyDiff(budget=16), update_every=16) as memory:
            results.append(memory.generate(ids, max_new_tokens=8, do_sample=False))
            assert memory.report().kept_fraction < 0.6
    assert torch.equal(*results)
