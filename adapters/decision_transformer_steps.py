"""The Decision Transformer's trunk without the overhead of its modules, for steps of two or three tokens.

A step of an environment is three tokens, and a call of the trunk through its modules, hooks and mask builders costs several
times what the tokens themselves do. Here the same weights go through the same operations in the same order over the same
cache; `forward` of the adapter remains what tests compare it with. Steps in which an update falls due take the engine's own
attention, all others `attend_step`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from namm_xmodal.cache.attention import pruned_attention
from namm_xmodal.cache.mask import plain_step_mask
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.cache.step import attend_step, steps_plainly

FEW_TOKENS = 8
"""Steps of more tokens go through the trunk itself."""

Affine = tuple[Tensor, Tensor]
"""Bias and weight, as `torch.addmm` takes them; of a norm, weight and bias."""


@dataclass(frozen=True)
class BlockWeights:
    """One block of the trunk.

    Attributes:
        attention: The attention module, for its sizes.
        heads: Its heads.
        head_dim: Their width.
        scaling: Factor of the logits.
        norms: Before attention and before the perceptron.
        merged: To queries, keys and values.
        mixed: From the heads back to the width.
        wide: Into the perceptron.
        narrow: Out of it.
        act: What lies between.
    """

    attention: Any
    heads: int
    head_dim: int
    scaling: float
    norms: tuple[Affine, Affine]
    merged: Affine
    mixed: Affine
    wide: Affine
    narrow: Affine
    act: Any


@dataclass(frozen=True)
class TrunkWeights:
    """A model's parameters, looked up once: through its modules that takes as long as multiplying by them.

    Attributes:
        blocks: From below.
        place: (hidden_size,) the one position embedding that every token gets.
        last_norm: Above the blocks.
        head: Weight and bias of what reads the action off the state's last hidden state.
        squashes: A tanh follows it.
        width: hidden_size, as the norms take it.
        eps: Of the norms.
    """

    blocks: tuple[BlockWeights, ...]
    place: Tensor
    last_norm: Affine
    head: Affine
    squashes: bool
    width: tuple[int]
    eps: float

    @classmethod
    def of(cls, model: Any) -> "TrunkWeights":
        """The parameters themselves, not copies, of a `DecisionTransformerModel`."""
        trunk = model.encoder
        return cls(
            tuple(_block(each) for each in trunk.h),
            trunk.wpe.weight[0],
            (trunk.ln_f.weight, trunk.ln_f.bias),
            (model.predict_action[0].weight, model.predict_action[0].bias),
            len(model.predict_action) > 1,
            (int(trunk.ln_f.weight.shape[0]),),
            float(trunk.ln_f.eps),
        )


def _block(block: Any) -> BlockWeights:
    attention, mlp = block.attn, block.mlp
    return BlockWeights(
        attention,
        int(attention.num_heads),
        int(attention.head_dim),
        float(attention.scaling),
        ((block.ln_1.weight, block.ln_1.bias), (block.ln_2.weight, block.ln_2.bias)),
        (attention.c_attn.bias, attention.c_attn.weight),
        (attention.c_proj.bias, attention.c_proj.weight),
        (mlp.c_fc.bias, mlp.c_fc.weight),
        (mlp.c_proj.bias, mlp.c_proj.weight),
        torch.relu if isinstance(mlp.act, torch.nn.ReLU) else mlp.act,  # the function, without the module around it
    )


def can_step(model: Any, embedded: Tensor, mask: Tensor | None, cache: Any) -> bool:
    """Whether a step may take the fast path: nothing to differentiate, nothing padded, nothing dropped at random."""
    return (
        mask is None
        and embedded.shape[1] <= FEW_TOKENS
        and isinstance(cache, PrunedCache)
        and not (torch.is_grad_enabled() or model.training)
    )


def step_trunk(weights: TrunkWeights, embedded: Tensor, cache: PrunedCache) -> Tensor:
    """Feeds a few tokens; all of them at position 0.

    Args:
        weights: Of a model inside `pruned`.
        embedded: (B, Q, hidden_size).
        cache: Of `memory.cache()`.

    Returns:
        (B, Q, hidden_size) last hidden states.
    """
    batch, queries, width = embedded.shape
    norm, eps, addmm, shape = torch.layer_norm, weights.eps, torch.addmm, weights.width
    first = cache.layers[0].seen
    plainly, watched = steps_plainly(cache, queries)
    mask = None if plainly else plain_step_mask(first, queries, embedded.device)
    index = torch.arange(first, first + queries, device=embedded.device)
    hidden = (embedded + weights.place).view(-1, width)  # (B Q, hidden)
    for block, layer in zip(weights.blocks, cache.layers, strict=True):
        x = norm(hidden, shape, *block.norms[0], eps)
        split = addmm(*_biased(block.merged, x)).view(batch, queries, 3, block.heads, block.head_dim)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, Q, D) each
        if mask is None:
            mixed = attend_step(layer, query, key, value, index, block.scaling, watched)  # (B, Q, H, D)
        else:
            key, value = layer.update(key, value)
            mixed, _ = pruned_attention(block.attention, query, key, value, mask, scaling=block.scaling)
        hidden = addmm(*_biased(block.mixed, mixed.reshape(-1, width))).add_(hidden)
        x = norm(hidden, shape, *block.norms[1], eps)
        x = block.act(addmm(*_biased(block.wide, x)))
        hidden = addmm(*_biased(block.narrow, x)).add_(hidden)
    return norm(hidden, shape, *weights.last_norm, eps).view(batch, queries, width)


def action_of(weights: TrunkWeights, hidden: Tensor) -> Tensor:
    """(B, hidden_size) last hidden states of s_t -> (B, act_dim): the model's `predict_action`."""
    action = linear(hidden, *weights.head)
    return torch.tanh(action) if weights.squashes else action


def _biased(affine: Affine, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return affine[0], x, affine[1]
