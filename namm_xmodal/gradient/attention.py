"""Attention over a cache whose evictions can be differentiated, in the signature of transformers' attention interface.

Nothing is really removed: an evicted token's weight is multiplied by a gate that is 0 and has a gradient,

    p_qk = g_k exp(l_qk) / sum_j g_j exp(l_qj),        g = product of the gates of all updates before query q.

The forward values are those of the pruned cache (tests compare them in float64).
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from namm_xmodal.errors import UnsupportedModelError, UnsupportedOperationError
from namm_xmodal.gradient.gate import straight_through
from namm_xmodal.gradient.trace import Trace, active_trace
from namm_xmodal.policies.protocol import Observation, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

STRAIGHT_THROUGH = "namm_xmodal_straight_through"
"""Name of the attention function in transformers' registry."""

_LARGEST_EXCESS = 8.0
"""A gate's gradient is exp(logit of the evicted - largest live logit): bounded at e^8, so that no token overflows."""

_UNSUPPORTED = ("s_aux", "softcap", "position_bias", "sliding_window")


def straight_through_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention with updates every `update_every` queries, for whole texts without padding.

    Args:
        module: The attention module; its `layer_idx` and config give the layer's place.
        query: (B, Hq, T, D).
        key: (B, H, T, D).
        value: (B, H, T, D).
        attention_mask: Ignored: causal order is all that it may say.
        dropout: Ignored.
        scaling: Factor of the logits, 1 / sqrt(D) if None.
        **kwargs: Other arguments of the architecture.

    Returns:
        Output (B, T, Hq, D) and None.

    Raises:
        UnsupportedModelError: If the architecture asks for other attention than causal softmax.
        UnsupportedOperationError: Outside `tracing`.
    """
    trace = active_trace()
    if trace is None:
        raise UnsupportedOperationError("straight-through attention works inside namm_xmodal.gradient only")
    asked = [name for name in _UNSUPPORTED if kwargs.get(name) is not None]
    if asked:
        raise UnsupportedModelError(f"{type(module).__name__} passes {', '.join(asked)}, which gradients do not cover")
    batch, query_heads, length, width = query.shape
    heads = key.shape[1]
    layer: Any = module
    shape = LayerShape(layer.layer_idx, layer.config.num_hidden_layers, query_heads, heads, width)
    scaling = width**-0.5 if scaling is None else scaling
    q = query.view(batch, heads, query_heads // heads, length, width) * scaling  # (B, H, G, T, D)
    state = State(batch, heads, 0, query.device)
    trace.policy.start(state, shape)
    gate = query.new_ones(batch, heads, 0, dtype=torch.promote_types(query.dtype, torch.float32))
    live = torch.ones(batch, heads, 0, dtype=torch.bool, device=query.device)
    outputs = []
    for first in range(0, length, trace.update_every):
        stop = min(first + trace.update_every, length)
        new = stop - first
        gate = torch.cat([gate, gate.new_ones(batch, heads, new)], -1)
        live = torch.cat([live, live.new_ones(batch, heads, new)], -1)
        weights = _weights(q[:, :, :, first:stop], key[:, :, :stop], gate, live, first)
        outputs.append(weights.to(value.dtype) @ value[:, :, None, :stop])  # (B, H, G, Q, D)
        if new == trace.update_every:
            state.grow(new)
            with torch.no_grad():
                trace.policy.observe(state, Tile(first, weights.mean(2), None))
            if stop < length:  # an update after the last token would change nothing that is scored
                gate, live = _update(trace, state, shape, key[:, :, :stop], value[:, :, :stop], gate, live, scaling)
    output = torch.cat(outputs, 3).reshape(batch, query_heads, length, -1)  # (B, H, G, T, D) -> (B, Hq, T, D)
    return output.transpose(1, 2).contiguous(), None


def _weights(query: Tensor, key: Tensor, gate: Tensor, live: Tensor, first: int) -> Tensor:
    """(B, H, G, Q, S) attention of queries from index `first` on, gates multiplied in; float32 or better."""
    logits = query @ key[:, :, None].transpose(-1, -2)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    queries, slots = logits.shape[-2:]
    causal = torch.ones(queries, slots, dtype=torch.bool, device=query.device).tril(first)
    visible = causal & live[:, :, None, None]
    largest = logits.detach().masked_fill(~visible, -torch.inf).amax(-1, keepdim=True)
    raw = (logits - largest).clamp(max=_LARGEST_EXCESS).exp() * causal
    gated = raw * gate[:, :, None, None]
    return gated / gated.sum(-1, keepdim=True)


def _update(
    trace: Trace,
    state: State,
    shape: LayerShape,
    keys: Tensor,
    values: Tensor,
    gate: Tensor,
    live: Tensor,
    scaling: float,
) -> tuple[Tensor, Tensor]:
    """Scores, decides, and multiplies the gates: (B, H, S) gates and live tokens after an update."""
    seen = keys.shape[2]
    positions = torch.arange(seen, device=keys.device).expand(live.shape)
    rotary = trace.rotary[shape.layer]
    observation = Observation(keys.detach(), values.detach(), positions, live, seen, state, shape, scaling, rotary)
    scores = trace.policy.score_with(observation, trace.parameters[None, None])
    protected = (positions < trace.protect_first) | (positions >= seen - trace.protect_recent)
    step = straight_through(scores, live, protected, trace.schedule.at(seen))
    trace.scores.setdefault(seen, []).append(scores.detach()[live & ~protected])
    trace.kept.setdefault(seen, []).append(float(step.kept.double().mean()))
    trace.tokens += live.numel()
    trace.heads = live.shape[0] * live.shape[1]
    trace.sizes.append(step.soft_size)
    # Tokens that left earlier are not judged again: were they back, later updates would have had to keep them.
    return torch.where(live, gate * step.open, gate), step.kept


AttentionInterface.register(STRAIGHT_THROUGH, straight_through_attention)
