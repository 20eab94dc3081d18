"""Finds a model's rotary embedding, so that policies can rotate cached queries to other positions."""

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import UnsupportedModelError
from namm_xmodal.policies.protocol import Reads, Rotary

_TURNED_IN_WINDOWS = {"afmoe", "cohere2", "cohere2_moe", "exaone4", "exaone_moe", "flint", "kolibri1"}
"""Model types that rotate only the keys of sliding layers, if they have any."""


def find_rotary(decoder: torch.nn.Module, num_layers: int) -> list[Rotary | None]:
    """The rotary embedding of each layer of a transformers decoder.

    Args:
        decoder: The decoder stack; its `rotary_emb` is used if it has one.
        num_layers: Attention layers.

    Returns:
        One function per layer, positions (P,) -> cosines and sines (P, R), whose columns repeat as the model pairs
        dimensions: i with i + R/2, or neighbours. None for models and layers without rotary positions.
    """
    module, config = getattr(decoder, "rotary_emb", None), getattr(decoder, "config", None)
    if module is None or _of_its_own(module, config):
        return [None] * num_layers
    types = getattr(config, "layer_types", None) or [None] * num_layers
    per_type = any(name.endswith("_inv_freq") and name != "original_inv_freq" for name, _ in module.named_buffers())
    neighbours, backwards = _turning(decoder)
    tables: list[Rotary | None] = [
        _table(module, kind if per_type else None, neighbours, backwards) for kind in types[:num_layers]
    ]
    turned = getattr(config, "no_rope_layers", None) or [True] * num_layers  # despite the name, 0 means not turned
    if getattr(config, "model_type", None) in _TURNED_IN_WINDOWS and "sliding_attention" in types:
        turned = [kind == "sliding_attention" for kind in types]
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
            f"{model} has no rotary embedding, but this policy needs one (as does the channel unrotated_key_novelty of "
            "a NAMM); use key_novelty instead, which is equivalent on such a model"
        )


def _of_its_own(module: torch.nn.Module, config: Any) -> bool:
    """Whether keys are turned in a way that cosines and sines of one position per token cannot undo.

    Latent attention turns the last dimensions of a key; multimodal models turn by frame, row and column.
    """
    axes = "mrope_section" in (getattr(config, "rope_parameters", None) or {}) or hasattr(module, "mrope_section")
    return axes or bool(getattr(config, "kv_lora_rank", None))


def _turning(decoder: torch.nn.Module) -> tuple[bool, bool]:
    """Whether the model turns dimensions (0, 1), (2, 3), ... instead of (0, R/2), (1, R/2 + 1), ...; and backwards.

    Some of these models (GLM, Ernie) still hand out tables of the other layout and reorder them inside attention, so
    the function that pairs dimensions has to be asked. NanoChat turns by the negative angle.
    """
    pair = getattr(sys.modules[type(decoder).__module__], "rotate_half", None)
    if pair is None:
        return False, False
    first = float(pair(torch.arange(1.0, 5.0))[0])  # the partner of the first dimension, negative if turned forwards
    return abs(first) == 2, first > 0


def _table(module: torch.nn.Module, layer_type: str | None, neighbours: bool, backwards: bool) -> Rotary:
    per_pair = _per_pair(module, layer_type)

    def rotary(positions: Tensor) -> tuple[Tensor, Tensor]:
        cosines, sines = _tables(module, layer_type, positions)
        if per_pair:
            cosines, sines = torch.cat([cosines, cosines], -1), torch.cat([sines, sines], -1)
        return _relaid(cosines, neighbours), _relaid(-sines if backwards else sines, neighbours)

    return rotary


def _relaid(table: Tensor, neighbours: bool) -> Tensor:
    """Lets (P, R) columns repeat as dimensions are paired."""
    half = table.shape[-1] // 2
    if neighbours and torch.allclose(table[:, :half], table[:, half:], atol=1e-4):
        return table[:, :half].repeat_interleave(2, dim=-1)
    return table


def _per_pair(module: torch.nn.Module, layer_type: str | None) -> bool:
    """Whether tables have one column for each pair of dimensions (gpt-oss) instead of one for each dimension."""
    table = _tables(module, layer_type, torch.arange(1, 9, device=next(module.buffers()).device))[1]
    half = table.shape[-1] // 2
    repeats = half and (
        torch.allclose(table[:, :half], table[:, half:], atol=1e-4)
        or torch.allclose(table[:, ::2], table[:, 1::2], atol=1e-4)
    )
    return not repeats


def _tables(module: torch.nn.Module, layer_type: str | None, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines as the model computes them, (P, R) or (P, R / 2)."""
    example = torch.zeros(1, dtype=torch.float32, device=positions.device)
    arguments: dict[str, Any] = {} if layer_type is None else {"layer_type": layer_type}
    cosines, sines = module(example, positions[None], **arguments)
    return cosines[0], sines[0]
