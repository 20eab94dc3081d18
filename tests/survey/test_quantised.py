"""Models whose weights are stored in fewer bits, or elsewhere than where they compute, are pruned like any other."""

import copy

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from families import tiny
from torchao.quantization import Int8WeightOnlyConfig, quantize_

from namm_xmodal import KeyDiff, pruned
from namm_xmodal.adapters.verdict import verdict_of


def model_of(name):
    """Random weights, float32."""
    return copy.deepcopy(tiny(name)).float().eval()


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3"])
def test_weights_of_eight_bits_are_exact(name):
    model = model_of(name)
    before = model(torch.arange(3, 40)[None]).logits
    quantize_(model, Int8WeightOnlyConfig())
    after = model(torch.arange(3, 40)[None]).logits
    assert not torch.equal(before, after)
    assert str(verdict_of(model)) == "exact, by the adapter language"


def test_weights_that_are_fetched_layer_by_layer_are_exact(tmp_path):
    for offload in (
        lambda model: disk_offload(model, tmp_path, execution_device=torch.device("cpu")),
        lambda model: cpu_offload(model, execution_device=torch.device("cpu")),
    ):
        plain, model = model_of("llama"), model_of("llama")
        offload(model)
        assert next(model.parameters()).device.type == "meta"
        assert str(verdict_of(model)) == "exact, by the adapter language"
        ids, results = torch.randint(3, 97, (1, 64), generator=torch.Generator().manual_seed(0)), []
        for each in (plain, model):
            with torch.no_grad(), pruned(each, KeyDiff(budget=16), update_every=16) as memory:
                results.append(memory.generate(ids, max_new_tokens=8, do_sample=False))
                assert memory.report().kept_fraction < 0.6
        assert torch.equal(*results)
