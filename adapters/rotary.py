"""Finds a model's rotary embedding, so that policies can turn cached queries to other positions."""

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import UnsupportedModelError
from namm_xmodal.policies.protocol import Reads, Rotary


def find_rotary(decoder: torch.nn.Module, num_layers: int) -> list[Rotary | None]:
    """The rotary embedding of each layer of a transformers decoder.

    Args:
        decoder: The decoder stack; its `rotary_emb` is used if it has one.
        num_layers: Attention layers.

    Returns:
        One function per layer, positions (P,) -> cosines and sines (P, R), whose columns repeat as the model pairs
        dimensions: i with i + R/2, or neighbours. None for models and layers without rotary positions.
    """
    module = getattr(decoder, "rotary_emb", None)
    if module is None:
        return [None] * num_layers
    config = getattr(decoder, "config", None)
    types = getattr(config, "layer_types", None) or [None] * num_layers
    per_type = any(name.endswith("_inv_freq") and name != "original_inv_freq" for name, _ in module.named_buffers())
    neighbours = _pairs_neighbours(decoder)
    tables: list[Rotary | None] = [
        _table(module, kind if per_type else None, neighbours) for kind in types[:num_layers]
    ]
    turned = getattr(config, "no_rope_layers", None) or [True] * num_layers  # despite the name, 0 means not turned
    return [table if turn else None for table, turn in zip(tables, turned, strict=True)]


def check_provides(reads: Reads, tables: Sequence[Rotary | None], model: str) -> None:
    """Refuses a model without any rotary embedding where a policy needs one, before the model is touched.

    Args:
        reads: Of the policy.
        tables: Of each layer of the model.
        model: Its name, for the message.

    Raises:
        UnsupportedModelError: With the remedy.
    """
    if reads.rotary and not any(table is not None for table in tables):
        raise UnsupportedModelError(
            f"{model} has no rotary embedding, which this policy reads (the channel unrotated_key_novelty of a NAMM does); "
            "use a policy with key_novelty instead, which is the same on such a model"
        )


def _pairs_neighbours(decoder: torch.nn.Module) -> bool:
    """Whether the model turns dimensions (0, 1), (2, 3), ... instead of (0, R/2), (1, R/2 + 1), ...

    Some of these models (GLM, Ernie) still hand out tables of the other layout and reorder them inside attention, so the
    function that pairs dimensions has to be asked.
    """
    pair = getattr(sys.modules[type(decoder).__module__], "rotate_half", None)
    return pair is not None and bool(pair(torch.arange(4.0))[0] == -1)


def _table(module: torch.nn.Module, layer_type: str | None, neighbours: bool) -> Rotary:
    def rotary(positions: Tensor) -> tuple[Tensor, Tensor]:
        example = torch.zeros(1, dtype=torch.float32, device=positions.device)
        arguments: dict[str, Any] = {} if layer_type is None else {"layer_type": layer_type}
        cosines, sines = module(example, positions[None], **arguments)
        return _relaid(cosines[0], neighbours), _relaid(sines[0], neighbours)

    return rotary


def _relaid(table: Tensor, neighbours: bool) -> Tensor:
    """Lets (P, R) columns repeat as dimensions are paired."""
    half = table.shape[-1] // 2
    if neighbours and torch.allclose(table[:, :half], table[:, half:], atol=1e-4):
        return table[:, :half].repeat_interleave(2, dim=-1)
    return table
