"""Lanes: kv heads of a layer that hold about as many tokens and are stored side by side, as wide as the longest of them."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from namm_xmodal.policies.state import State

SPARE_SLOTS = 64
"""Room made at once while decoding, so that most tokens are written in place instead of copying the cache."""
_DEAD_SLOTS = 32
_DEAD_SHARE = 1 / 8
_DEAD_SHARE_OF_SEEN = 1 / 32
"""A head shares a lane if it lacks no more of its longest head's tokens: every lane is an attention call of its own. Of the
three, the largest; the last is of all tokens seen, which is what a cache's size is compared with."""


class Lane:
    """Keys, values and original indices of some kv heads, and the policy's state of them.

    Attributes:
        heads: The h kv heads, in ascending order.
        slots: Slots in use, S.
        has_dead: Some slot may be dead; false spares looking for one at every step.
        state: The policy's buffers, None until attention has said how many query heads there are.
    """

    def __init__(self, heads: Sequence[int], store: list[Tensor], state: State | None, has_dead: bool) -> None:
        """Takes over a store without spare slots.

        Args:
            heads: Which kv heads these are.
            store: Keys (B, h, S, D), values (B, h, S, D) and indices (B, h, S) int32, -1 in dead slots.
            state: See the class.
            has_dead: See the class.
        """
        self.heads, self.state, self.has_dead = tuple(heads), state, has_dead
        self.slots = store[2].shape[2]
        self._store = store

    @property
    def keys(self) -> Tensor:
        """(B, h, S, D)."""
        return self._store[0].narrow(2, 0, self.slots)

    @property
    def values(self) -> Tensor:
        """(B, h, S, D)."""
        return self._store[1].narrow(2, 0, self.slots)

    @property
    def index(self) -> Tensor:
        """(B, h, S) int64: original index of the token in each slot (padding counts), -1 in dead slots."""
        return self._store[2].narrow(2, 0, self.slots).long()

    @property
    def live(self) -> Tensor:
        """(B, h, S) bool: slots that hold a token."""
        return self._store[2].narrow(2, 0, self.slots) >= 0

    @property
    def num_bytes(self) -> int:
        """Bytes allocated for keys, values and indices, dead slots and spare room included."""
        return sum(held.numel() * held.element_size() for held in self._store)

    @property
    def stored_index(self) -> Tensor:
        """As `index`, int32, sharing memory with the lane."""
        return self._store[2].narrow(2, 0, self.slots)

    def view(self) -> "Lane":
        """What is here now, without the policy's state; it shares memory, and stays as it is whatever is appended here."""
        return Lane(self.heads, [held.narrow(2, 0, self.slots) for held in self._store], None, self.has_dead)

    def append(self, keys: Tensor, values: Tensor, index: Tensor, spare: int) -> None:
        """Writes tokens into new slots.

        Args:
            keys: (B, h, n, D).
            values: (B, h, n, D).
            index: (n,) or (B, 1, n), -1 for tokens that are born dead.
            spare: Slots to make beyond them when the room runs out.
        """
        count, end = keys.shape[2], self.slots + keys.shape[2]
        differentiable = torch.is_grad_enabled() and keys.requires_grad
        for place, addition in enumerate((keys, values, index)):
            held = self._store[place]
            if differentiable:  # writing in place would overwrite what backward needs
                addition = addition.expand(*keys.shape[:2], -1).to(held.dtype) if place == 2 else addition
                self._store[place] = torch.cat([held[:, :, : self.slots], addition], dim=2)
                continue
            if end > held.shape[2]:
                larger = held.new_empty(*held.shape[:2], end + spare, *held.shape[3:])
                larger[:, :, : self.slots] = held[:, :, : self.slots]
                held = self._store[place] = larger
            held.narrow(2, self.slots, count).copy_(addition)
        assert self.state is not None
        self.state.grow(count, spare)
        self.slots = end

    def split(self, keep: Tensor, seen: int, *, together: bool) -> list["Lane"]:
        """Lanes of what `keep` (B, h, S) bool leaves, in its order; shorter heads end in dead slots.

        Args:
            keep: Live slots that stay.
            seen: Tokens that the layer has seen.
            together: All heads in one lane, however much they differ.
        """
        assert self.state is not None
        counts = keep.sum(-1)
        most, least = torch.stack([counts.amax(0), counts.amin(0)]).tolist()  # by head, over the batch rows
        groups = [tuple(range(len(most)))] if together else _alike(most, seen)
        lanes: list[Lane] = []
        for heads in groups:
            width, whole = max(most[head] for head in heads), len(groups) == 1
            chosen = keep if whole else keep[:, heads]
            # A stable sort of "stays" brings the survivors to the front in chronological order.
            order = chosen.to(torch.int8).argsort(dim=-1, descending=True, stable=True)[..., :width]
            store = []
            for held in self._store:
                part = held[:, :, : self.slots] if whole else held[:, heads, : self.slots]
                wide = order if part.ndim == 3 else order[..., None].expand(-1, -1, -1, part.shape[-1])
                store.append(part.gather(2, wide))
            store[2].masked_fill_(~chosen.gather(-1, order), -1)
            state = self.state if whole else self.state.of_heads(heads, rows=not lanes)
            state.gather(order)
            lanes.append(
                Lane([self.heads[head] for head in heads], store, state, min(least[head] for head in heads) < width)
            )
        return lanes

    def map_rows(self, change: Callable[[Tensor], Tensor]) -> None:
        """Applies `change` to the batch dimension of everything."""
        self._store = [change(held[:, :, : self.slots]) for held in self._store]
        if self.state is not None:
            self.state.map_rows(change)


def merged(lanes: Sequence[Lane]) -> Lane:
    """All heads of a layer in one lane: the only one there is, or a copy, with dead slots behind the shorter heads."""
    if len(lanes) == 1:
        return lanes[0]
    width, places = max(lane.slots for lane in lanes), [list(lane.heads) for lane in lanes]
    store = []
    for place, filler in enumerate((0, 0, -1)):
        first = lanes[0]._store[place]
        whole = first.new_full((first.shape[0], sum(map(len, places)), width, *first.shape[3:]), filler)
        for lane, heads in zip(lanes, places, strict=True):
            whole[:, heads, : lane.slots] = lane._store[place][:, :, : lane.slots]
        store.append(whole)
    states = [lane.state for lane in lanes if lane.state is not None]
    return Lane(range(store[0].shape[1]), store, states[0].of_lanes(states[1:], places) if states else None, True)


def _alike(lengths: list[int], seen: int) -> list[tuple[int, ...]]:
    """Groups of heads whose lengths are near those of the longest one in the group."""
    groups: list[list[int]] = []
    usual = max(_DEAD_SLOTS, seen * _DEAD_SHARE_OF_SEEN)
    for head in sorted(range(len(lengths)), key=lambda head: -lengths[head]):
        longest = lengths[groups[-1][0]] if groups else 0
        if groups and longest - lengths[head] <= max(usual, longest * _DEAD_SHARE):
            groups[-1].append(head)
        else:
            groups.append([head])
    return [tuple(sorted(group)) for group in groups]


def by_lane(lanes: Sequence[Lane], *tensors: Tensor) -> Iterator[tuple[Lane, tuple[Tensor, ...]]]:
    """Every lane of a layer with its heads of some (B, H, ...) or (B, Hq, ...) tensors."""
    if len(lanes) == 1:
        yield lanes[0], tensors
        return
    sizes = [len(lane.heads) for lane in lanes]
    parts = []
    for tensor in tensors:
        order, _ = _order(lanes, tensor.shape[1], tensor.device)
        groups = tensor.shape[1] // sum(sizes)
        parts.append(tensor.index_select(1, order).split([size * groups for size in sizes], dim=1))
    yield from zip(lanes, zip(*parts, strict=True), strict=True)


def from_lanes(lanes: Sequence[Lane], parts: list[Tensor], dim: int) -> Tensor:
    """One tensor of all heads, in their order, out of one for each lane; heads (or query heads) are dimension `dim`."""
    if len(parts) == 1:
        return parts[0]
    whole = torch.cat(parts, dim)
    return whole.index_select(dim, _order(lanes, whole.shape[dim], whole.device)[1])


def _order(lanes: Sequence[Lane], heads: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(heads,) kv heads or query heads in the order of the lanes, and the inverse."""
    stored = tuple(head for lane in lanes for head in lane.heads)
    return _heads_in_order(stored, heads // len(stored), device, torch.is_inference_mode_enabled())


@lru_cache(maxsize=256)
def _heads_in_order(
    stored: tuple[int, ...], groups: int, device: torch.device, inference: bool
) -> tuple[Tensor, Tensor]:
    """Heads of a layer in the order in which they are stored, each standing for `groups` query heads, and the inverse.

    `inference` keeps tensors made in inference mode, which autograd refuses, apart from others.
    """
    order = torch.tensor([head * groups + i for head in stored for i in range(groups)], device=device)
    return order, order.argsort()
