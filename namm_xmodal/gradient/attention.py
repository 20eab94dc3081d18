"""Attention over a cache whose evictions can be differentiated, in the signature of transformers' attention interface.

Nothing is really removed: an evicted token's weight is multiplied by a gate that is 0 and has a gradient,

    p_qk = g_k exp(l_qk) / sum_j g_j exp(l_qj),        g = product of the gates of all updates before query q.

The forward values are those of the pruned cache (tests compare them in float64). Masks are the cache's own too: what left a
sliding window has no weight, and leaves for good at the next update.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from namm_xmodal.cache.mask import LazyMask, lazy_mask
from namm_xmodal.errors import UnsupportedModelError, UnsupportedOperationError
from namm_xmodal.gradient.gate import straight_through
from namm_xmodal.gradient.trace import Trace, active_trace
from namm_xmodal.policies.protocol import Candidates, Observation, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

STRAIGHT_THROUGH = "namm_xmodal_straight_through"
"""Name of the attention function in transformers' registry."""

_LARGEST_EXCESS = 8.0
"""A gate's gradient is exp(logit of the evicted - largest live logit): bounded at e^8, so that no token overflows."""

_UNSUPPORTED = ("s_aux", "softcap", "position_bias", "sinks", "indices", "block_indices")


def straight_through_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: LazyMask | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention with updates every `update_every` queries, for whole inputs without padding.

    Args:
        module: The attention module; its `layer_idx` and config give the layer's place.
        query: (B, Hq, T, D).
        key: (B, H, T, D).
        value: (B, H, T, D).
        attention_mask: What `lazy_mask` returned: causal order, sliding windows, chunks.
        dropout: Ignored.
        scaling: Factor of the logits, 1 / sqrt(D) if None.
        **kwargs: Other arguments of the architecture.

    Returns:
        Output (B, T, Hq, D) and None.

    Raises:
        UnsupportedModelError: If the architecture asks for attention that gradients do not cover.
        UnsupportedOperationError: Outside `tracing`.
    """
    trace = active_trace()
    if trace is None:
        raise UnsupportedOperationError("straight-through attention only works inside namm_xmodal.gradient")
    batch, query_heads, length, width = query.shape
    mask = _covered(module, attention_mask, length, kwargs)
    heads = key.shape[1]
    layer: Any = module
    shape = LayerShape(layer.layer_idx, layer.config.num_hidden_layers, query_heads, heads, width)
    scaling = width**-0.5 if scaling is None else scaling
    q = query.view(batch, heads, query_heads // heads, length, width) * scaling  # (B, H, G, T, D)
    state = State(batch, heads, 0, query.device)
    trace.policy.start(state, shape)
    trace.layers.add(shape.layer)
    gate = query.new_ones(batch, heads, 0, dtype=torch.promote_types(query.dtype, torch.float32))
    live = torch.ones(batch, heads, 0, dtype=torch.bool, device=query.device)
    outputs = []
    for first in range(0, length, trace.update_every):
        stop = min(first + trace.update_every, length)
        new = stop - first
        gate = torch.cat([gate, gate.new_ones(batch, heads, new)], -1)
        live = torch.cat([live, live.new_ones(batch, heads, new)], -1)
        weights = _weights(
            q[:, :, :, first:stop], key[:, :, :stop], gate, live, _seen_by(mask, first, stop, query.device)
        )
        outputs.append(weights.to(value.dtype) @ value[:, :, None, :stop])  # (B, H, G, Q, D)
        if new == trace.update_every:
            state.grow(new)
            with torch.no_grad():
                trace.policy.observe(state, Tile(first, weights.mean(2), None))
            if stop < length:  # an update after the last token would change nothing that is scored
                reachable = mask.reachable(torch.arange(stop, device=query.device).expand(live.shape), stop)
                live = live if reachable is None else live & reachable  # nobody will see what left a window again
                gate, live = _update(trace, state, shape, key[:, :, :stop], value[:, :, :stop], gate, live, scaling)
    output = torch.cat(outputs, 3).reshape(batch, query_heads, length, -1)  # (B, H, G, T, D) -> (B, Hq, T, D)
    return output.transpose(1, 2).contiguous(), None


def _covered(module: torch.nn.Module, mask: LazyMask | None, length: int, asked: dict[str, Any]) -> LazyMask:
    """The mask, if this is attention that gradients cover."""
    name = type(module).__name__
    others = [each for each in _UNSUPPORTED if asked.get(each) is not None]
    if others:
        raise UnsupportedModelError(f"{name} passes {', '.join(others)}, which gradients do not support")
    if not isinstance(mask, LazyMask) or mask.padding is not None:
        raise UnsupportedOperationError(f"{name}: gradients need whole inputs, without padding or a custom mask")
    if mask.bidirectional:
        raise UnsupportedModelError(f"{name} attends in both directions, but gradients only support decoders")
    window = asked.get("sliding_window")
    if window is not None and length > window and not mask.keeps(window):
        raise UnsupportedModelError(
            f"{name}: {length} tokens, but a window of {window} that its mask does not apply; use shorter inputs"
        )
    return mask


def _seen_by(mask: LazyMask, first: int, stop: int, device: torch.device) -> Tensor:
    """(1, 1, Q, S) bool: which of the tokens up to `stop` the queries from `first` on see, evictions aside."""
    if mask.plain:
        return torch.ones(stop - first, stop, dtype=torch.bool, device=device).tril(first)[None, None]
    return mask.on(torch.arange(stop, device=device)[None, None], first, stop)


def _weights(query: Tensor, key: Tensor, gate: Tensor, live: Tensor, seen: Tensor) -> Tensor:
    """(B, H, G, Q, S) attention of queries to the tokens that each has `seen`, gates multiplied in; float32 or better."""
    logits = query @ key[:, :, None].transpose(-1, -2)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    seen = seen[:, :, None]  # (1, 1, Q, S) -> (1, 1, 1, Q, S)
    visible = seen & live[:, :, None, None]
    largest = logits.detach().masked_fill(~visible, -torch.inf).amax(-1, keepdim=True)
    raw = (logits - largest).clamp(max=_LARGEST_EXCESS).exp() * seen
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
    held = positions.masked_fill(~live, -1)  # as the cache says it: -1 in dead slots
    rotary = trace.rotary[shape.layer]
    observation = Observation(keys.detach(), values.detach(), held, live, seen, state, shape, scaling, rotary)
    scores = trace.scores_of(observation)
    protected = live & ((positions < trace.protect_first) | (positions >= seen - trace.protect_recent))
    free = live & ~protected
    kept = trace.aim.keep(scores.detach(), Candidates(live, protected, seen, shape))
    margins = trace.aim.margins(trace.aim.comparable(scores, free), live, free, seen, shape.layer)
    if trace.worth is not None:
        margins = trace.worth.lowered(margins, free, shape.layer)
    step = straight_through(margins, free, kept)
    trace.scores.setdefault(seen, []).append(scores.detach()[free])
    trace.protected[seen] = trace.protected.get(seen, 0) + int(protected.sum())
    trace.kept.setdefault(seen, []).append(float(kept.double().mean()))
    trace.tokens += live.numel()
    trace.heads = live.shape[0] * live.shape[1]
    trace.sizes.append(step.soft_size)
    # Tokens that left earlier are not judged again: were they back, later updates would have had to keep them.
    return torch.where(live, gate * step.open, gate), kept


AttentionInterface.register(STRAIGHT_THROUGH, straight_through_attention)
AttentionMaskInterface.register(STRAIGHT_THROUGH, lazy_mask)
