"""A policy that evicts nothing and records features at updates and the attention that each token receives later."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from namm_xmodal.policies.namm.features import Features
from namm_xmodal.policies.namm.statistics import FeatureStatistics
from namm_xmodal.policies.protocol import ALL_ROWS, Candidates, Observation, Reads, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

_LAYER = "traced layer"


@dataclass(frozen=True)
class Snapshot:
    """One layer at one update.

    Attributes:
        shape: Of the layer.
        seen: Tokens seen, all of them cached.
        constants: (B, H, num_constants, S) what the features saw; see `Features.constants`.
        future: (B, H, S) the largest attention that each token received after the update, averaged over the query heads of
            a kv head; of the counted queries only.
    """

    shape: LayerShape
    seen: int
    constants: Tensor
    future: Tensor


class TraceRecorder:
    """Watches whole texts without padding; nothing is evicted, so a slot is a position.

    Attributes:
        features: Of the policies that will be trained.
        statistics: Of their frozen channels.
        updates: Tokens seen at the updates to note; those of the clock that are not among them pass.
        count_from: Position of the first query whose attention counts as later attention.
    """

    def __init__(
        self, features: Features, statistics: FeatureStatistics, updates: Sequence[int], count_from: int = 0
    ) -> None:
        """Notes nothing yet."""
        self.features, self.statistics = features, statistics
        self.updates, self.count_from = frozenset(updates), count_from
        self._taken: dict[int, list[Snapshot]] = {}
        self._windowed: set[int] = set()

    @property
    def reads(self) -> Reads:
        """Every attention row, whatever the features read: later attention is among them."""
        return replace(self.features.reads, rows=ALL_ROWS)

    @property
    def snapshots(self) -> list[Snapshot]:
        """All of them, layer by layer, but for layers whose window has moved on: their slots are not positions."""
        return [each for layer in sorted(set(self._taken) - self._windowed) for each in self._taken[layer]]

    def clear(self) -> None:
        """Forgets everything, for the next text."""
        self._taken.clear()
        self._windowed.clear()

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares the features' buffers."""
        self.features.start(state)
        state.add_row_buffer(_LAYER)
        state.row(_LAYER).fill_(shape.layer)
        self._taken.setdefault(shape.layer, [])

    def observe(self, state: State, tile: Tile) -> None:
        """Takes a tile in, as later attention of the snapshots so far and as a signal of the features."""
        rows = tile.rows
        assert rows is not None
        counted = rows[:, :, max(0, self.count_from - tile.first) :]  # (B, H, Q, V)
        if counted.shape[2]:
            largest, layer = counted.amax(2).float(), int(state.row(_LAYER)[0])  # (B, H, V)
            if any(each.seen > largest.shape[-1] for each in self._taken[layer]):
                self._windowed.add(layer)
            for each in self._taken[layer] if layer not in self._windowed else ():
                torch.maximum(each.future, largest[..., : each.seen], out=each.future)
        self.features.observe(state, tile)

    def score(self, observation: Observation) -> Tensor:
        """Notes an update; (B, H, S) zeros."""
        if observation.seen in self.updates:
            seen = observation.seen
            constants = self.features.constants(observation, self.statistics)
            future = torch.zeros_like(observation.positions, dtype=torch.float32)
            self._taken[observation.shape.layer].append(Snapshot(observation.shape, seen, constants, future))
        return torch.zeros_like(observation.positions, dtype=torch.float32)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """Everything."""
        return candidates.live

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """It never does, but the engine must stop at the updates to note."""
        return seen in self.updates

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """Any clock that falls on whole hops, which the policy to be trained checks."""
