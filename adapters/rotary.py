"""Finds a model's rotary embedding, so that policies can turn cached queries to other positions."""

from typing import Any

import torch
from torch import Tensor

from namm_xmodal.policies.protocol import Rotary


def find_rotary(decoder: torch.nn.Module, num_layers: int) -> list[Rotary | None]:
    """The rotary embedding of each layer of a transformers decoder.

    Args:
        decoder: The decoder stack; its `rotary_emb` is used if it has one.
        num_layers: Attention layers.

    Returns:
        One function per layer, positions (P,) -> cosines and sines (P, R); None for models without rotary positions.
    """
    module = getattr(decoder, "rotary_emb", None)
    if module is None:
        return [None] * num_layers
    config = getattr(decoder, "config", None)
    types = getattr(config, "layer_types", None) or [None] * num_layers
    per_type = any(name.endswith("_inv_freq") and name != "original_inv_freq" for name, _ in module.named_buffers())
    return [_table(module, kind if per_type else None) for kind in types[:num_layers]]


def _table(module: torch.nn.Module, layer_type: str | None) -> Rotary:
    def rotary(positions: Tensor) -> tuple[Tensor, Tensor]:
        example = torch.zeros(1, dtype=torch.float32, device=positions.device)
        arguments: dict[str, Any] = {} if layer_type is None else {"layer_type": layer_type}
        cosines, sines = module(example, positions[None], **arguments)
        return cosines[0], sines[0]

    return rotary
