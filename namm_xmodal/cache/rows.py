"""Attention rows tile by tile, averaged over the query heads of a kv head: the only thing a NAMM reads."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.cache.visibility import Visibility


@dataclass(frozen=True)
class AttentionTile:
    """Attention of queries [start, stop) of a block.

    Attributes:
        start: First query of the tile within the block.
        stop: One past the last.
        rows: (B, H, Q, V) probabilities over the first V slots, averaged over the G query heads of each kv head.
        output: (B, Hq, Q, D) attention output, or None if only rows were asked for.
    """

    start: int
    stop: int
    rows: Tensor
    output: Tensor | None


def attention_tiles(
    query: Tensor,
    key: Tensor,
    value: Tensor | None,
    visibility: Visibility,
    scaling: float,
    tile: int,
    first: int = 0,
) -> Iterator[AttentionTile]:
    """Yields softmax(Q K^T) in tiles of at most `tile` queries, without repeating keys for the query heads that share them.

    Args:
        query: (B, Hq, Q, D).
        key: (B, H, S, D).
        value: (B, H, S, D) to compute the output from the same rows, or None.
        visibility: What each query may see.
        scaling: Factor of the logits.
        tile: Most queries at once; memory is O(B * Hq * tile * S).
        first: Queries before this one are left out.
    """
    batch, query_heads, length, width = query.shape
    heads = key.shape[1]
    groups = query_heads // heads
    # Softmax in at least float32, as transformers' eager attention does.
    dtype = torch.promote_types(query.dtype, torch.float32)
    keys = key.to(dtype).transpose(-1, -2)
    values = None if value is None else value.to(dtype)
    scaled = query.to(dtype) * scaling
    lowest = torch.finfo(dtype).min
    for start in range(first, length, tile):
        stop = min(length, start + tile)
        reach = visibility.reach(stop)
        part = scaled[:, :, start:stop].reshape(batch, heads, groups * (stop - start), width)
        logits = part @ keys[..., :reach]  # (B, H, G * Q, V)
        grouped = logits.view(batch, heads, groups, stop - start, reach)
        visibility.hide(grouped, start, stop, lowest)
        probabilities = torch.softmax(logits, dim=-1)
        output = None
        if values is not None:
            mixed = probabilities @ values[:, :, :reach]  # (B, H, G * Q, D)
            output = mixed.view(batch, query_heads, stop - start, -1).to(query.dtype)
        rows = probabilities.view(batch, heads, groups, stop - start, reach)
        yield AttentionTile(start, stop, rows.mean(2) if groups > 1 else rows[:, :, 0], output)
