"""Finds the thresholds at which a NAMM keeps a given share of plain text, and the share that each layer keeps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.cache.fork import fork
from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.memory.memory import Memory
from namm_xmodal.memory.pruned import pruned
from namm_xmodal.policies.namm import Namm, ThresholdSchedule
from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


@dataclass(frozen=True)
class Calibration:
    """Thresholds, and the sizes that they were found to give.

    Attributes:
        schedule: Tokens seen -> threshold; beyond the last, the shares of the layers.
        kept: Tokens seen -> kept fraction, layers, heads and texts pooled.
    """

    schedule: ThresholdSchedule
    kept: dict[int, float]


@dataclass
class _Size:
    """One update: what could be evicted, and how much must stay."""

    scores: list[Tensor] = field(default_factory=list)
    protected: int = 0
    kept: dict[int, int] = field(default_factory=dict)
    full: dict[int, int] = field(default_factory=dict)
    num_layers: int = 0

    @property
    def share(self) -> float:
        """Kept fraction of all layers together."""
        return sum(self.kept.values()) / sum(self.full.values())

    def shares(self, wanted: float) -> tuple[float, ...]:
        """Of each layer, in their proportions here and `wanted` together; layers without an update keep everything."""
        factor = wanted / self.share
        own = {layer: factor * kept / self.full[layer] for layer, kept in self.kept.items()}
        return tuple(min(1.0, own.get(layer, 1.0)) for layer in range(self.num_layers))


class ScoreRecorder:
    """A NAMM that notes, at every update, the scores that its threshold decides on."""

    def __init__(self, policy: Namm) -> None:
        """Notes nothing yet."""
        self.policy = policy
        self.size = _Size()

    @property
    def reads(self) -> Reads:
        """As the policy."""
        return self.policy.reads

    def start(self, state: State, shape: LayerShape) -> None:
        """As the policy."""
        self.policy.start(state, shape)

    def observe(self, state: State, tile: Tile) -> None:
        """As the policy."""
        self.policy.observe(state, tile)

    def score(self, observation: Observation) -> Tensor:
        """As the policy: (B, H, S)."""
        return self.policy.score(observation)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """As the policy: (B, H, S) bool; notes the scores of live tokens that are not protected."""
        keep = self.policy.keep(scores, candidates)
        size = self.size
        free = candidates.live & ~candidates.protected
        size.scores.append(scores[free].float().cpu())
        size.protected += int((candidates.live & candidates.protected).sum())
        layer = candidates.shape.layer
        size.kept[layer] = size.kept.get(layer, 0) + int(keep.sum())
        size.full[layer] = size.full.get(layer, 0) + candidates.seen * scores.shape[0] * scores.shape[1]
        size.num_layers = candidates.shape.num_layers
        return keep

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """As the policy."""
        return self.policy.may_evict(seen, shape)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """As the policy."""
        self.policy.check_clock(update_every, protect_first, protect_recent)


def calibrate(
    model: torch.nn.Module,
    inputs: Sequence[Mapping[str, Tensor]],
    policy: Namm,
    *,
    budget: float,
    floor: int = 0,
    update_every: int,
    protect_first: int = 0,
    protect_recent: int = 1,
    hold: bool = True,
    adapter: Adapter | str | None = None,
    on_progress: Callable[[int, int], None] = lambda seen, last: None,
) -> Calibration:
    """Reads all inputs side by side, update by update; every stretch between two updates is read twice.

    First with copies of the caches and a threshold that keeps everything, to see the scores; then, with the threshold
    that leaves the wanted share of all texts, layers and heads together, for good. So each threshold is found on what
    the ones before it have left. (Reading whole texts again and again until sizes fit was tried first: six readings of
    sixteen updates ended at 75% where 50% was wanted.)

    Args:
        model: The model, in evaluation mode.
        inputs: What the adapter's `forward` takes, such as `{"input_ids": (1, T)}`, without padding; the schedule
            reaches as far as the longest.
        policy: The policy; its own schedule and threshold play no part.
        budget: Wanted share of the tokens seen that is kept after an update, in (0, 1).
        floor: Tokens that are kept at least, as far as the schedule reaches.
        update_every: The clock of the policy.
        protect_first: Oldest tokens that always stay; they count.
        protect_recent: Newest tokens that always stay; they count.
        hold: Whether each layer keeps its share of the last update beyond it, `budget` together (as `beyond` of the
            schedule); else the last threshold holds, and the kept share falls.
        adapter: As in `pruned`.
        on_progress: Called after each update with the tokens seen and how many will be.

    Returns:
        The schedule, to be used with threshold 0: `policy.with_thresholds(found.schedule)`.

    Raises:
        ConfigError: If the budget is not between 0 and 1.
        DataError: If no input reaches an update.
    """
    check_share(budget)
    last = max((_length(each) for each in inputs), default=0) // update_every * update_every
    if last == 0:
        raise DataError(f"no input is long enough for an update; expected at least update_every={update_every} tokens")
    policy = policy.with_thresholds(ThresholdSchedule())
    recorder = ScoreRecorder(policy)
    thresholds: dict[int, float] = {}
    kept: dict[int, float] = {}
    with (
        torch.no_grad(),
        pruned(
            model,
            recorder,
            update_every=update_every,
            protect_first=protect_first,
            protect_recent=protect_recent,
            adapter=adapter,
        ) as memory,
    ):
        caches = [memory.cache() for _ in inputs]
        for seen in range(update_every, last + 1, update_every):
            reached = [i for i, each in enumerate(inputs) if _length(each) >= seen]
            recorder.policy = replace(policy, threshold=-math.inf, schedule=ThresholdSchedule())
            size = _read(memory, recorder, inputs, [fork(caches[i]) for i in reached], reached, seen)
            thresholds[seen] = _threshold(size, wanted_share(budget, floor, seen))
            recorder.policy = replace(policy, threshold=thresholds[seen], schedule=ThresholdSchedule())
            size = _read(memory, recorder, inputs, [caches[i] for i in reached], reached, seen)
            kept[seen] = size.share
            on_progress(seen, last)
    schedule = ThresholdSchedule.of(thresholds)
    return Calibration(replace(schedule, beyond=size.shares(budget)) if hold else schedule, kept)


def check_share(budget: float) -> None:
    """Refuses a budget that is not a share.

    Raises:
        ConfigError: With the value given.
    """
    if not 0.0 < budget < 1.0:
        raise ConfigError(f"budget={budget}: expected a share of the cache between 0 and 1, such as 0.25")


def wanted_share(budget: float, floor: int, seen: int) -> float:
    """Share of `seen` tokens that a budget with a floor stands for, at most 1."""
    return max(budget, min(1.0, floor / seen))


def _read(
    memory: Memory,
    recorder: ScoreRecorder,
    inputs: Sequence[Mapping[str, Tensor]],
    caches: list[Any],
    which: list[int],
    seen: int,
) -> _Size:
    """One stretch of some inputs, up to the update after `seen` tokens."""
    every = memory.settings.clock.every
    assert every is not None
    recorder.size = _Size()
    for i, cache in zip(which, caches, strict=True):
        stretch = {name: each[:, seen - every : seen] for name, each in inputs[i].items()}
        memory.adapter.forward(memory.model, stretch, cache)
    return recorder.size


def _length(inputs: Mapping[str, Tensor]) -> int:
    return next(iter(inputs.values())).shape[1]


def _threshold(size: _Size, wanted: float) -> float:
    """The score from which on the wanted number of tokens is kept; the lowest one if even all are fewer."""
    scores = torch.cat(size.scores)
    keep = min(scores.numel(), max(0, round(wanted * sum(size.full.values())) - size.protected))
    if keep == 0:
        return float(scores.max()) + 1.0
    return float(scores.kthvalue(scores.numel() - keep + 1).values)
