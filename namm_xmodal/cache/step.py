"""The fast path for a few unpadded tokens between two updates: nothing to evict, no blocks, only a causal mask.

`pruned_attention` can do all of this; for three tokens of a small model most of its time goes into finding out that
there is nothing to do. This is the same attention over the same storage, for callers that know.
"""

from functools import lru_cache

import torch
from torch import Tensor

from namm_xmodal.cache.lane import by_lane, from_lanes
from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.policies.protocol import ALL_ROWS, Tile

_ROOM = 1024
"""Masks are made for as many slots at once."""


def steps_plainly(cache: PrunedCache, count: int) -> tuple[bool, bool]:
    """Whether `count` more tokens can go through `attend_step`, and whether the policy watches.

    They cannot in the first forward, when an update falls due after one of them, or when the policy watches only some
    rows or queries: then `pruned_attention` decides what it sees.

    Args:
        cache: All layers of it have seen the same tokens.
        count: New tokens of each row.
    """
    layer, settings = cache.layers[0], cache.settings
    if layer.shape is None or layer.shape.num_attention_heads != layer.shape.num_key_value_heads:
        return False, False
    policy, clock = settings.policy, settings.clock
    if policy is None:
        return True, False
    reads = policy.reads
    if reads.queries or reads.rows not in (0, ALL_ROWS) or clock.schedule != "streaming" or clock.every is None:
        return False, False
    return layer.seen % clock.every + count < clock.every, reads.rows == ALL_ROWS


def attend_step(
    layer: PrunedLayer, query: Tensor, key: Tensor, value: Tensor, index: Tensor, scaling: float, watched: bool
) -> Tensor:
    """Stores a few tokens, attends, and shows the policy their attention rows if it watches.

    Args:
        layer: Of a cache that `steps_plainly`.
        query: (B, H, Q, D); as many heads as keys.
        key: (B, H, Q, D).
        value: (B, H, Q, D).
        index: (Q,) original indices of the tokens.
        scaling: Factor of the logits.
        watched: Whether the policy reads every row.

    Returns:
        (B, Q, H, D).
    """
    first = layer.seen
    layer.append_step(key, value, index)
    outputs = []
    for lane, (some,) in by_lane(layer.lanes, query):
        batch, heads, count, size = some.shape
        order = _order(
            count, -(-lane.slots // _ROOM) * _ROOM, some.dtype, some.device, torch.is_inference_mode_enabled()
        )
        logits = torch.baddbmm(
            order[:, -lane.slots :], some.reshape(-1, count, size), lane.keys.flatten(0, 1).mT, alpha=scaling
        )  # (B H, Q, S)
        if lane.has_dead:
            logits.masked_fill_(~lane.live.flatten(0, 1)[:, None], -torch.inf)
        weights = logits.softmax(-1)
        outputs.append(torch.bmm(weights, lane.values.flatten(0, 1)).view(batch, heads, count, -1))
        if watched:
            policy, state = layer.settings.policy, lane.state
            assert policy is not None and state is not None
            policy.observe(state, Tile(first, weights.view(batch, heads, count, -1), None))
    return from_lanes(layer.lanes, outputs, 1).transpose(1, 2)  # (B, H, Q, D) -> (B, Q, H, D)


@lru_cache(maxsize=8)
def _order(count: int, room: int, dtype: torch.dtype, device: torch.device, inference: bool) -> Tensor:
    """(Q, room) to be added to logits: minus infinity for the newest tokens' successors, in the last columns, else zero.

    `inference` keeps tensors made in inference mode, which autograd refuses, apart from others.
    """
    order = torch.zeros(count, room, dtype=dtype, device=device)
    order[:, room - count :].fill_(-torch.inf).triu_(1)
    return order
