"""Finds the output projections of a model's attention layers, for policies that weigh values by them."""

from typing import Any

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.errors import UnsupportedModelError

_NAMES = ("o_proj", "out_proj", "dense", "c_proj", "wo")
"""What transformers' attention modules call it."""


def find_projections(adapter: Adapter, model: torch.nn.Module) -> list[Tensor]:
    """The output projection of each attention layer: (Hq * D, E), sharing memory with the model.

    Args:
        adapter: Knows the model's decoder.
        model: The model.

    Raises:
        UnsupportedModelError: If a layer has none that can be read as a matrix.
    """
    found: dict[int, Tensor] = {}
    for module in adapter.decoder(model).modules():
        part: Any = module
        if not isinstance(getattr(part, "layer_idx", None), int) or not hasattr(part, "is_causal"):
            continue
        if getattr(part, "is_kv_shared_layer", False):  # it reads an earlier layer's values, and keeps none
            continue
        for name in _NAMES:
            weight = getattr(getattr(part, name, None), "weight", None)
            if isinstance(weight, Tensor) and weight.ndim == 2 and weight.is_floating_point():
                found[part.layer_idx] = weight if isinstance(getattr(part, name), Conv1D) else weight.T
    count = adapter.num_layers(model)
    if len(found) != count:
        raise UnsupportedModelError(
            f"{type(model).__name__}: found an output projection in {len(found)} of {count} attention layers, but "
            "CriticalKV needs all; use its base policy instead"
        )
    return [found[layer] for layer in sorted(found)]
