"""Attention tile by tile: rows averaged over the query heads of a kv head, and the output from the same softmax.

Everything a NAMM reads passes through here, so this is the engine's hot loop. What makes it fast on a CPU (ratios in
`benchmarks/`): the query heads that share a kv head are rows of one matrix product, so keys are never repeated; only slots
that some query of the tile can see are touched; the softmax is taken in base 2, twice as fast as base e, with log2(e)
folded into the queries; it is shifted by its maximum only where it could overflow; scratch memory is reused.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.cache.visibility import Visibility

_LOG2_E = math.log2(math.e)
_SAFE_EXPONENT = 80.0
"""Base-2 logits up to here need no shift: sums of 2 ** 20 terms of 2 ** 80 and terms of 2 ** -80 stay normal float32."""
_FEW_QUERIES = 16
"""Up to here, as in decoding, copying keys or bounding their norms costs more than it saves."""
_TILE_ELEMENTS = 1 << 20
"""Logits in flight per product (4 MB): larger tiles fall out of the processor's cache."""


@dataclass(frozen=True)
class LogitsAs:
    """What a model does to its logits beside scaling and masking them.

    Attributes:
        softcap: Logits become c * tanh(logits / c), as in Gemma 2; None for no cap.
        sinks: (Hq,) a logit per query head that takes part in softmax without a token, as in gpt-oss; None for none.
    """

    softcap: float | None = None
    sinks: Tensor | None = None


PLAIN = LogitsAs()
"""Nothing else, as in nearly all models."""


@dataclass(frozen=True)
class AttentionTile:
    """Attention of queries [start, stop) of a block.

    Attributes:
        start: First query of the tile within the block.
        stop: One past the last.
        rows: (B, H, Q, V) probabilities over the first V slots, averaged over the G query heads of each kv head. Zero for
            queries that see nothing. Scratch memory: valid until the next tile.
    """

    start: int
    stop: int
    rows: Tensor


def attention_tiles(
    query: Tensor,
    key: Tensor,
    visibility: Visibility,
    scaling: float,
    tile: int,
    *,
    first: int = 0,
    value: Tensor | None = None,
    output: Tensor | None = None,
    logits_as: LogitsAs = PLAIN,
) -> Iterator[AttentionTile]:
    """Yields softmax(Q K^T) in tiles of at most `tile` queries, and writes softmax(Q K^T) V on the way.

    Args:
        query: (B, Hq, Q, D).
        key: (B, H, S, D).
        visibility: What each query may see.
        scaling: Factor of the logits.
        tile: Most queries at once; memory is O(B * Hq * tile * S) at most, less for long caches.
        first: Queries before this one are left out.
        value: (B, H, S, D), if the output is wanted.
        output: (B, Q, Hq, D) to write into, complete when the tiles are exhausted.
        logits_as: What the model does to logits before softmax.
    """
    batch, query_heads, queries, size = query.shape
    heads, slots = key.shape[1], key.shape[2]
    if queries - first == 1:
        yield _one_query(query[:, :, first:], key, visibility, scaling, value, output, logits_as)
        return
    groups, flat = query_heads // heads, batch * heads
    dtype = torch.promote_types(query.dtype, torch.float32)  # as in transformers' eager attention
    many = queries - first > _FEW_QUERIES
    keys = _packed(key, dtype, many)  # (B * H, S, D)
    # bfloat16 has float32's range, so unshifted weights fit, and sdpa rounds them for this product too. Twice as fast.
    mixing = value.dtype if value is not None and value.dtype == torch.bfloat16 and many else dtype
    values = None if value is None else _packed(value, mixing, many)
    tile = _tile_size(min(queries - first, tile), groups, slots)
    # As many kv heads at a time as fit; at least one.
    together = min(flat, max(1, _TILE_ELEMENTS // (groups * tile * slots)))
    factor = scaling * _LOG2_E
    sinks = None if logits_as.sinks is None else _per_pair(logits_as.sinks.to(dtype) * _LOG2_E, batch, heads)
    shift = not many or sinks is not None or _could_overflow(query, keys, factor)
    grouped = query.unflatten(1, (heads, groups))  # (B, H, G, Q, D)
    q_room = keys.new_empty(flat * groups * tile * size)
    s_room = keys.new_empty(together * groups * tile * slots)
    r_room = keys.new_empty(flat * tile * slots)
    for start in range(first, queries, tile):
        stop = min(queries, start + tile)
        count, reach = stop - start, visibility.reach(stop)
        q = q_room[: flat * groups * count * size].view(batch, heads, groups, count, size)
        q.copy_(grouped[:, :, :, start:stop]).mul_(factor)
        q = q.view(flat, groups * count, size)
        rows = r_room[: flat * count * reach].view(flat, count, reach)
        mixed = None if values is None else values.new_empty(flat, groups * count, values.shape[-1])
        scaled = mixed if mixed is None or mixing == dtype else keys.new_empty(mixed.shape)
        for low in range(0, flat, together):
            some = slice(low, min(low + together, flat))
            logits = s_room[: (some.stop - low) * groups * count * reach].view(-1, groups * count, reach)
            torch.bmm(q[some], keys[some, :reach].mT, out=logits)
            if logits_as.softcap is not None:
                cap = logits_as.softcap * _LOG2_E
                logits.div_(cap).tanh_().mul_(cap)
            by_group = logits.unflatten(1, (groups, count))  # (heads, G, Q, V)
            visibility.hide(by_group, some, start, stop)
            sink = None if sinks is None else sinks[some].repeat_interleave(count, 1)[..., None]  # (heads, G Q, 1)
            if shift:
                top = logits.amax(-1, keepdim=True).clamp_(min=torch.finfo(dtype).min)
                top = top if sink is None else torch.maximum(top, sink)
                logits.sub_(top)
                sink = None if sink is None else sink - top
            weights = logits.exp2_()
            total = weights.sum(-1, keepdim=True)
            inverse = (total if sink is None else total + sink.exp2()).reciprocal_()
            if visibility.may_be_blind:
                inverse.masked_fill_(inverse == math.inf, 0.0)
            share = (inverse / groups).unflatten(1, (groups, count))
            torch.mul(by_group[:, 0], share[:, 0], out=rows[some])
            for group in range(1, groups):
                rows[some].addcmul_(by_group[:, group], share[:, group])
            if mixed is not None and scaled is not None and values is not None:
                torch.bmm(weights.to(mixing), values[some, :reach], out=mixed[some])
                torch.mul(mixed[some], inverse, out=scaled[some])
        if scaled is not None and output is not None:
            place = output[:, start:stop].unflatten(2, (heads, groups))  # (B, Q, H, G, D)
            place.copy_(scaled.view(batch, heads, groups, count, -1).permute(0, 3, 1, 2, 4))
        yield AttentionTile(start, stop, rows.view(batch, heads, count, reach))


def _one_query(
    query: Tensor,
    key: Tensor,
    visibility: Visibility,
    scaling: float,
    value: Tensor | None,
    output: Tensor | None,
    logits_as: LogitsAs,
) -> AttentionTile:
    """The tile of the last query alone, as in decoding, where every further operation takes as long as the attention."""
    batch, query_heads, _, size = query.shape
    heads, last = key.shape[1], visibility.queries - 1
    groups, flat = query_heads // heads, batch * heads
    dtype = torch.promote_types(query.dtype, torch.float32)
    q = query.reshape(flat, groups, size).to(dtype)  # (B, Hq, 1, D) -> (B * H, G, D)
    logits = torch.bmm(q * scaling, key.flatten(0, 1).to(dtype).mT)  # (B * H, G, S)
    if logits_as.softcap is not None:
        logits.div_(logits_as.softcap).tanh_().mul_(logits_as.softcap)
    visibility.hide(logits[:, :, None], slice(0, flat), last, last + 1)
    if logits_as.sinks is None:
        weights = logits.softmax(-1)
    else:
        sinks = _per_pair(logits_as.sinks.to(dtype), batch, heads)[..., None]  # (B * H, G, 1)
        weights = torch.cat([logits, sinks], -1).softmax(-1)[..., :-1]
    if visibility.may_be_blind and logits_as.sinks is None:
        weights.masked_fill_(logits.amax(-1, keepdim=True) == -math.inf, 0.0)
    if value is not None and output is not None:
        mixed = torch.bmm(weights, value.flatten(0, 1).to(dtype))  # (B * H, G, D)
        output[:, last].copy_(mixed.view(batch, query_heads, -1))
    rows = weights.mean(1, keepdim=True)  # (B * H, 1, S)
    return AttentionTile(last, last + 1, rows.unflatten(0, (batch, heads)))


def _packed(cached: Tensor, dtype: torch.dtype, many: bool) -> Tensor:
    """(B, H, S, D) -> (B * H, S, D) without the cache's spare slots, if enough queries are to profit from the copy."""
    flat = cached.flatten(0, 1).to(dtype)
    return flat.contiguous() if many else flat


def _per_pair(sinks: Tensor, batch: int, heads: int) -> Tensor:
    """(Hq,) -> (B * H, G)."""
    return sinks.view(1, heads, -1).expand(batch, -1, -1).flatten(0, 1)


def _tile_size(most: int, groups: int, slots: int) -> int:
    """Queries per tile: 16 to `most`, so that one kv head's logits stay near `_TILE_ELEMENTS`."""
    fitting = _TILE_ELEMENTS // (groups * max(1, slots)) // 16 * 16
    return max(1, min(most, max(16, fitting)))


def _could_overflow(query: Tensor, keys: Tensor, factor: float) -> bool:
    """Whether some base-2 logit may exceed what needs no shift, by the Cauchy-Schwarz inequality."""
    if keys.device.type != "cpu":
        return True  # reading the bound back would stall the device for longer than the shift takes
    longest = (
        torch.linalg.vector_norm(query, dim=-1, dtype=keys.dtype).amax() * torch.linalg.vector_norm(keys, dim=-1).amax()
    )
    return not float(longest) * abs(factor) <= _SAFE_EXPONENT  # a NaN shifts too
