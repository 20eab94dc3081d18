"""One update of a layer: score what the due rows hold, choose, evict."""

import torch
from torch import Tensor

from namm_xmodal.cache.clock import Block, RowGroup
from namm_xmodal.cache.lane import Lane
from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.mask import LazyMask
from namm_xmodal.cache.stopwatch import timed
from namm_xmodal.policies.choice import checked_keep, checked_scores
from namm_xmodal.policies.protocol import Candidates, ChoosesForLater, Observation
from namm_xmodal.policies.selection import widen_to_layer_max


def update_layer(layer: PrunedLayer, mask: LazyMask, block: Block, stop: int, scaling: float) -> None:
    """Lets the policy choose for every group of due rows, then compacts the layer once, or leaves the choice to later ones.

    Args:
        layer: The layer to prune.
        mask: The forward's mask, for padding.
        block: The block that just ended; rows that are not due keep everything.
        stop: Index one past the block's last query.
        scaling: Factor of the attention logits.
    """
    ahead = isinstance(layer.settings.policy, ChoosesForLater)
    if ahead and block.stop != layer.seen:
        return  # not the forward that read the prompt
    lane = layer.merge()
    index = lane.index
    positions = _positions(index, mask, stop)
    reachable = None if ahead else mask.reachable(index, block.stop)  # other layers may see what leaves this window
    if reachable is not None:  # tokens that left a sliding window are not candidates: nobody will see them again
        positions = positions.masked_fill(~reachable, -1)
    keep = index >= 0
    for group in block.due:
        with timed("score"):
            chosen = _choose(layer, lane, group, positions, scaling)
        if group.rows is None:
            keep = chosen
        else:
            keep[group.rows.to(keep.device)] = chosen
    if ahead:
        some = keep.any(1)  # (B, S): nothing was evicted here, so slots are indices
        layer.chosen = None if torch.equal(some, lane.live.any(1)) else some
        return
    with timed("move"):
        layer.evict(keep)
        clock = layer.settings.clock
        if clock.schedule == "streaming" and clock.every is not None and block.all_due:
            layer.release(clock.every)


@torch.no_grad()
def _choose(layer: PrunedLayer, lane: Lane, group: RowGroup, positions: Tensor, scaling: float) -> Tensor:
    """(B', H, S) bool: what the rows of one group keep."""
    settings, state, shape = layer.settings, lane.state, layer.shape
    policy = settings.policy
    assert policy is not None and state is not None and shape is not None
    keys, values = lane.keys.detach(), lane.values.detach()
    if group.rows is not None:
        rows = group.rows.to(keys.device)
        keys, values, positions, state = keys[rows], values[rows], positions[rows], state.part(rows)
    live = positions >= 0
    scores = checked_scores(
        policy,
        Observation(keys, values, positions, live, group.seen, state, shape, scaling, layer.rotary, group.rows),
    )
    protected = live & ((positions < settings.protect_first) | (positions >= group.seen - settings.protect_recent))
    candidates = Candidates(live, protected, group.seen, shape, positions)
    keep = checked_keep(policy, scores, candidates)
    if settings.selection == "layer_max":
        keep = widen_to_layer_max(keep, scores, candidates)
    return keep


def _positions(index: Tensor, mask: LazyMask, stop: int) -> Tensor:
    """(B, H, S) int64: each token's place among the real tokens of its row, -1 in dead slots."""
    if mask.counts is None:
        return index
    counts = mask.counts[:, :stop].to(index.device)  # (B, indices)
    position = counts[:, None].expand(-1, index.shape[1], -1).gather(-1, index.clamp(min=0)) - 1
    return position.masked_fill(index < 0, -1)
