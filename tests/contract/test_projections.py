"""Output projections of every family, and models in which they cannot be read."""

import pytest
import torch
from families import FAMILIES, padded_batch, tiny

from namm_xmodal import SnapKV, pruned
from namm_xmodal.adapters.language import LanguageAdapter
from namm_xmodal.adapters.projections import find_projections
from namm_xmodal.errors import UnsupportedModelError
from namm_xmodal.policies.criticalkv import CriticalKV


@pytest.mark.parametrize("family", FAMILIES)
def test_a_projection_is_what_the_layer_does_to_the_heads_together(family):
    model, seen = tiny(family), []
    projections = find_projections(LanguageAdapter(), model)

    def watch(module, inputs, output):
        seen.append((inputs[0], output - (0 if module.bias is None else module.bias)))

    names = [n for n, _ in model.named_modules() if n.rsplit(".", 1)[-1] in ("o_proj", "out_proj", "dense", "c_proj")]
    for name in (name for name in names if "mlp" not in name):
        module = model.get_submodule(name)
        module.bias = getattr(module, "bias", None)
        module.register_forward_hook(watch)
    with torch.no_grad():
        model(**padded_batch(8, 0, 1))
    assert len(seen) == len(projections) == 3
    for (given, expected), weight in zip(seen, projections, strict=True):
        torch.testing.assert_close(given @ weight, expected, rtol=1e-4, atol=1e-4)


def test_the_projection_decides():
    model, batch = tiny("llama"), padded_batch(64, 0, 1)
    policy, kept = CriticalKV(base=SnapKV(window=4), first_stage=0.0, budget=12), []
    for scale in (1.0, 1000.0):
        with torch.no_grad():  # one head's dimension becomes what counts
            model.model.layers[0].self_attn.o_proj.weight[:, 3] *= scale
        with torch.no_grad(), pruned(model, policy, update_every=16) as memory:
            model(**batch)
        kept.append(memory.last_cache.layers[0].index[0, 0].tolist())
    assert kept[0] != kept[1]


def test_a_projection_that_is_no_matrix_of_numbers_is_refused_before_the_model_is_touched():
    model = tiny("llama")
    attention = model.model.layers[1].self_attn
    attention.o_proj.weight = torch.nn.Parameter(torch.zeros(32, 16, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(UnsupportedModelError, match="found an output projection in 2 of 3 attention layers"):
        with pruned(model, CriticalKV()):
            pass
    assert model.config._attn_implementation == "sdpa"
    with pruned(model, SnapKV()):
        pass
