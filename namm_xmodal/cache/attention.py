"""The attention function that transformers calls: attend, observe, and evict at every tick of the clock.

A layer's evictions depend on its own attention alone, so the clock can live inside the call: queries are walked in
blocks that end at updates. One forward over a whole prompt, chunks of any size and token-by-token decoding give the
same result.
"""

from collections import deque
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from namm_xmodal.cache.handover import Handover
from namm_xmodal.cache.lane import Lane, by_lane, from_lanes
from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.mask import ATTENTION_NAME, LazyMask
from namm_xmodal.cache.observe import Observer
from namm_xmodal.cache.pending import take_pending, take_source
from namm_xmodal.cache.rows import PLAIN, LogitsAs, attention_tiles
from namm_xmodal.cache.settings import Settings
from namm_xmodal.cache.stopwatch import timed, timed_tiles
from namm_xmodal.cache.update import update_layer
from namm_xmodal.cache.visibility import Visibility
from namm_xmodal.errors import UnsupportedModelError, UnsupportedOperationError

_UNSUPPORTED = ("position_bias", "sinks", "indices", "block_indices")


# One graph break for each layer of a compiled model, not one at every branch below.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def pruned_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: LazyMask | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention over a pruned cache, in the signature of transformers' attention interface.

    Args:
        module: The attention module; `sdpa` reads `num_key_value_groups` from it.
        query: (B, Hq, Q, D).
        key: (B, H, Q, D) of the new tokens, as `PrunedLayer.update` returned them, of this layer or of an earlier one
            that it reads.
        value: (B, H, Q, D).
        attention_mask: What `lazy_mask` returned.
        dropout: Dropout of the attention weights; must be 0 with a pruned cache.
        scaling: Factor of the logits, 1 / sqrt(D) if None.
        **kwargs: Other arguments of the architecture.

    Returns:
        Output (B, Q, Hq, D) and None.

    Raises:
        UnsupportedModelError: If the architecture asks for attention that this engine does not compute.
        UnsupportedOperationError: If no pruned cache took the keys, or mask or dropout cannot be honoured.
    """
    layer, handover = take_pending(key, value), None
    if layer is None:
        source = take_source(key, value)
        if source is None:
            raise UnsupportedOperationError(_without_cache(module))
        layer, handover = source
    asked = [name for name in _UNSUPPORTED if kwargs.get(name) is not None]
    if asked:
        raise UnsupportedModelError(
            f"{type(module).__name__} passes {', '.join(asked)} to attention, which the pruned cache does not support"
        )
    if not isinstance(attention_mask, LazyMask):
        raise UnsupportedOperationError(
            f"attention_mask of type {type(attention_mask).__name__}: a pruned cache needs a 2-D padding mask (or none), "
            "since a ready-made 4-D mask cannot follow evicted tokens"
        )
    if attention_mask.bidirectional:
        raise UnsupportedModelError(
            f"{type(module).__name__} attends in both directions (an encoder, or no is_decoder in its config); only "
            "decoders have a cache to prune"
        )
    if layer.window is not None and layer.seen > layer.window and not attention_mask.keeps(layer.window):
        raise UnsupportedModelError(
            f"{type(module).__name__}: {layer.seen} tokens, but layer {layer.layer} has a window of {layer.window} "
            f"that only transformers' own cache applies; give at most {layer.window} tokens"
        )
    if dropout > 0:
        raise UnsupportedOperationError(f"attention dropout {dropout}: call model.eval() before using a pruned cache")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    softcap, sinks = kwargs.get("softcap"), kwargs.get("s_aux")
    logits_as = PLAIN if softcap is None and sinks is None else LogitsAs(softcap, sinks)
    if logits_as is not PLAIN and torch.is_grad_enabled() and query.requires_grad:
        raise UnsupportedOperationError(
            f"{type(module).__name__}: no gradients through attention with sinks or soft caps; use torch.no_grad()"
        )
    if handover is not None:
        return _attend_shared(module, layer, handover, query, attention_mask, scaling, logits_as), None
    if attention_mask.cut:
        raise UnsupportedModelError(
            f"{type(module).__name__} attends with some queries only, but caches all of their keys"
        )
    return _attend(module, layer, query, attention_mask, scaling, logits_as), None


def _without_cache(module: torch.nn.Module) -> str:
    """The error for attention inside the block that no pruned cache reached, since it would see everything."""
    if module.training:
        remedy = "call model.eval() or gradient_checkpointing_disable()"
        why = f"gradient checkpointing drops the cache in training mode ({remedy})"
    elif getattr(module, "is_kv_shared_layer", False):
        why = "the keys that it reads are not those of an earlier layer of this forward (they may be on another device)"
    else:
        why = (
            "this part of the model has no cache (cross-attention, an encoder); use an adapter that does not switch it"
        )
    return f"{type(module).__name__} was called without a pruned cache and would see every token: {why}"


def _attend(
    module: torch.nn.Module,
    layer: PrunedLayer,
    query: Tensor,
    mask: LazyMask,
    scaling: float,
    logits_as: LogitsAs,
) -> Tensor:
    """Walks the blocks of one forward: append, attend, observe, update."""
    length = query.shape[2]
    shape = layer.describe(query.shape[1])
    settings, first = layer.settings, layer.seen - length
    policy = settings.policy
    if policy is None:
        blocks = iter(settings.clock.blocks(mask, first, length, lambda seen: False))
    else:
        allowed = policy.may_evict
        blocks = settings.clock.blocks(mask, first, length, lambda seen: allowed(seen, shape))
    outputs = []
    admitted = layer.admitted()
    if admitted is not None:
        admitted = admitted.to(query.device)
        layer.untouched = False
    for block in blocks:
        with timed("move"):
            layer.append(block.start, block.stop, mask.padding if admitted is None else admitted)
        if layer.handover is not None:
            layer.handover.note(block, layer.lanes, layer.untouched)
        observer = Observer(layer, mask, first, block, length)
        part = query[:, :, block.start : block.stop]
        sight = partial(Visibility.of, mask=mask, start=block.start, stop=block.stop, untouched=layer.untouched)
        if not observer.reads_rows and observer.wants_anything(part.shape[2]):
            observer.see(layer.lanes[0].state, observer.begin, None, part.detach())
        found = [
            _attend_lane(module, settings, lane, some, sight(lane), observer, scaling, _of_lane(logits_as, lane, some))
            for lane, (some,) in by_lane(layer.lanes, part)
        ]
        output = from_lanes(layer.lanes, found, 2)
        outputs.append(output)
        if block.due and policy is not None:
            update_layer(layer, mask, block, first + block.stop, scaling)
    if admitted is not None:
        with timed("move"):
            layer.evict(layer.merge().live)
    layer.incoming = None
    seen = None if mask.counts is None else mask.counts[:, layer.seen - 1].tolist()
    layer.tokens_seen = tuple(seen) if seen is not None else (layer.seen,) * query.shape[0]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


def _attend_shared(
    module: torch.nn.Module,
    layer: PrunedLayer,
    handover: Handover,
    query: Tensor,
    mask: LazyMask,
    scaling: float,
    logits_as: LogitsAs,
) -> Tensor:
    """Walks the blocks of an earlier layer again and attends to what it held in each; the policy sees nothing of it.

    It has decided by then, from the earlier layer's own queries: those of this one do not exist yet when tokens of the
    forward are evicted, and decisions must not depend on how a text is cut into forwards.
    """
    outputs = []
    for number, held in enumerate(handover.blocks):
        start, stop = max(0, held.block.start - mask.cut), held.block.stop - mask.cut
        if stop <= 0:
            continue
        lanes, found = handover.lanes(number), []
        for lane, (part,) in by_lane(lanes, query[:, :, start:stop]):
            sight = Visibility.of(lane, mask, start, stop, untouched=held.untouched)
            as_here = _of_lane(logits_as, lane, part)
            found.append(_attend_lane(module, layer.settings, lane, part, sight, None, scaling, as_here))
        outputs.append(from_lanes(lanes, found, 2))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


def _of_lane(logits_as: LogitsAs, lane: Lane, query: Tensor) -> LogitsAs:
    """The same of a lane's query heads, of which its query (B, hq, Q, D) has so many."""
    sinks = logits_as.sinks
    if sinks is None or len(sinks) == query.shape[1]:
        return logits_as
    group = query.shape[1] // len(lane.heads)
    return replace(logits_as, sinks=sinks.unflatten(0, (-1, group))[list(lane.heads)].flatten())  # (Hq,) -> (hq,)


def _attend_lane(
    module: torch.nn.Module,
    settings: Settings,
    lane: Lane,
    query: Tensor,
    visibility: Visibility,
    observer: Observer | None,
    scaling: float,
    logits_as: LogitsAs,
) -> Tensor:
    """Attention of one block to the heads of a lane: (B, Q, hq, D) for a query of (B, hq, Q, D).

    What it sees goes to the `observer`, if there is one.
    """
    keys, values = lane.keys, lane.values
    alone = query.shape[2] == 1 and not visibility.use_dense  # the model's own way as long as nothing is evicted
    observed = observer is not None and observer.reads_all_rows
    rows_once = observed and _computes_rows_once(settings.attention, query, alone)
    if rows_once or logits_as is not PLAIN:
        batch, heads, count, _ = query.shape
        output = query.new_empty(batch, count, heads, values.shape[-1])  # (B, Q, Hq, D)
        tiles = timed_tiles(
            attention_tiles(
                query, keys, visibility, scaling, settings.tile, value=values, output=output, logits_as=logits_as
            ),
            "attend",
        )
        if observer is not None and observer.reads_all_rows:
            observer.watch(lane, query, tiles)
            return output
        deque(tiles, maxlen=0)
    else:
        with timed("attend"):
            groups = query.shape[1] // keys.shape[1]
            sdpa_mask = visibility.for_sdpa(1 if alone else groups, query.device)
            if alone and groups > 1:
                # The query heads of a kv head as queries of one product, so that keys are not repeated for each of
                # them.
                heads_as_queries = query.unflatten(1, (keys.shape[1], groups)).squeeze(
                    3
                )  # (B, Hq, 1, D) -> (B, H, G, D)
                output = scaled_dot_product_attention(
                    heads_as_queries, keys, values, attn_mask=sdpa_mask, scale=scaling
                ).flatten(1, 2)[:, None]  # (B, H, G, D) -> (B, 1, Hq, D)
            elif groups == 1 and (sdpa_mask is not None or query.shape[2] == 1):
                # What transformers' function comes down to here; its own checks take longer than a few queries do.
                output = (
                    scaled_dot_product_attention(query, keys, values, attn_mask=sdpa_mask, scale=scaling)
                    .transpose(1, 2)
                    .contiguous()
                )  # (B, H, Q, D) -> (B, Q, H, D)
            else:
                output, _ = sdpa_attention_forward(
                    module, query, keys, values, sdpa_mask, scaling=scaling, is_causal=True
                )  # without a mask, causal, whatever the module says of itself
    if observer is not None and observer.reads_rows and observer.wants_anything(query.shape[2]):
        seen, begin = query.detach(), observer.begin
        tiles = attention_tiles(
            seen, keys.detach(), visibility, scaling, settings.tile, first=begin, logits_as=logits_as
        )
        observer.watch(lane, seen, timed_tiles(tiles, "observe"))
    return output


def _computes_rows_once(attention: str, query: Tensor, alone: bool) -> bool:
    """Whether output and observed rows come from one softmax; never under autograd, whose graph tiles would bloat."""
    if torch.is_grad_enabled() and query.requires_grad:
        return False
    if attention == "auto":
        return alone or query.dtype in (torch.bfloat16, torch.float16)
    return attention == "tiled"


AttentionInterface.register(ATTENTION_NAME, pruned_attention)
