"""The Decision Transformer's trunk without the machinery around it: for turns of two or three tokens, where that is most
of the time.

A turn of an environment is three tokens, and a call of the trunk through its modules, hooks and mask builders costs several
times what the tokens themselves do. Here the same weights go through the same operations in the same order, and through the
same attention over the same cache; `forward` of the adapter remains what tests compare it with.
"""  # noqa: D205  one sentence

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from namm_xmodal.cache.attention import pruned_attention
from namm_xmodal.cache.mask import plain_step_mask
from namm_xmodal.cache.pruned_cache import PrunedCache

FEW_TOKENS = 8
"""More are the trunk's own business."""


def can_step(model: Any, embedded: Tensor, mask: Tensor | None, cache: Any) -> bool:
    """Whether a turn may take the short way: nothing to differentiate, nothing padded, nothing dropped at random."""
    return (
        mask is None
        and embedded.shape[1] <= FEW_TOKENS
        and isinstance(cache, PrunedCache)
        and not (torch.is_grad_enabled() or model.training)
    )


def step_trunk(model: Any, embedded: Tensor, cache: PrunedCache) -> Tensor:
    """Feeds a few tokens; all of them at position 0.

    Args:
        model: A `DecisionTransformerModel` inside `pruned`.
        embedded: (B, Q, hidden_size).
        cache: Of `memory.cache()`.

    Returns:
        (B, Q, hidden_size) last hidden states.
    """
    trunk = model.encoder
    batch, queries, width = embedded.shape
    mask = plain_step_mask(cache.layers[0].seen, queries, embedded.device)
    hidden = (embedded + trunk.wpe.weight[0]).view(-1, width)  # (B Q, hidden)
    for block, layer in zip(trunk.h, cache.layers, strict=True):
        attention, mlp = block.attn, block.mlp
        x = _norm(block.ln_1, hidden)
        merged = torch.addmm(attention.c_attn.bias, x, attention.c_attn.weight)  # (B Q, 3 hidden)
        split = merged.view(batch, queries, 3, attention.num_heads, attention.head_dim).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)  # (B, H, Q, D) each
        key, value = layer.update(key, value)
        mixed, _ = pruned_attention(attention, query, key, value, mask, scaling=attention.scaling)  # (B, Q, H, D)
        mixed = mixed.reshape(-1, width)
        hidden = torch.addmm(attention.c_proj.bias, mixed, attention.c_proj.weight) + hidden
        x = _norm(block.ln_2, hidden)
        x = mlp.act(torch.addmm(mlp.c_fc.bias, x, mlp.c_fc.weight))
        hidden = hidden + torch.addmm(mlp.c_proj.bias, x, mlp.c_proj.weight)
    return _norm(trunk.ln_f, hidden).view(batch, queries, width)


def _norm(module: Any, hidden: Tensor) -> Tensor:
    return layer_norm(hidden, module.normalized_shape, module.weight, module.bias, module.eps)
