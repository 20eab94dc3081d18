"""Estimates feature statistics on a model with a full cache, from text without labels or reward."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.adapters.table import adapter_by_name, find_adapter
from namm_xmodal.memory.pruned import pruned
from namm_xmodal.policies.namm.features import Features
from namm_xmodal.policies.namm.statistics import FeatureStatistics, StatisticsEstimator
from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


class FeatureRecorder:
    """A policy that keeps everything and notes the features it sees at every update.

    Attributes:
        features: Of the policy that will use the statistics.
        estimator: Takes them in; one for each layer if there are several.
    """

    def __init__(self, features: Features, estimator: StatisticsEstimator | Sequence[StatisticsEstimator]) -> None:
        """Notes nothing yet."""
        self.features = features
        self.estimators = [estimator] if isinstance(estimator, StatisticsEstimator) else list(estimator)

    @property
    def reads(self) -> Reads:
        """What the features read."""
        return self.features.reads

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares the features' buffers."""
        self.features.start(state)

    def observe(self, state: State, tile: Tile) -> None:
        """Takes a tile in."""
        self.features.observe(state, tile)

    def score(self, observation: Observation) -> Tensor:
        """Notes the features; (B, H, S) zeros."""
        estimator = self.estimators[observation.shape.layer if len(self.estimators) > 1 else 0]
        estimator.add(self.features.frozen(observation), observation.live)
        return torch.zeros_like(observation.positions, dtype=torch.float32)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """Everything."""
        return candidates.live

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """It never does, but the engine must stop here for `score`."""
        return True

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """Works with any schedule."""


def estimate_statistics(
    model: torch.nn.Module,
    batches: Iterable[Mapping[str, Any]],
    features: Features,
    *,
    update_every: int,
    source: str,
    adapter: Adapter | str | None = None,
    estimator: StatisticsEstimator | None = None,
) -> FeatureStatistics:
    """Mean and deviation of each number of the frozen channels over batches, updates, layers, heads and tokens.

    As published (docs/algorithm.md): pooled over every update of an unpruned cache, one set for all layers and heads.
    If every channel is standardised in context, there is nothing to estimate and no batch is read.

    Args:
        model: The target model, in evaluation mode.
        batches: What the adapter's `forward` takes, for example `{"input_ids": ...}`; each longer than one update.
        features: The features of the policy that will use the statistics.
        update_every: The clock of the policy that will use them.
        source: What to call them in reports, for example "estimated on smollm2-135m, 4 texts of 1,024 tokens".
        adapter: As in `pruned`.
        estimator: To add to, for statistics of several models; a new one if None.

    Raises:
        CheckpointError: If no batch reaches an update.
    """
    if not features.num_frozen:
        return FeatureStatistics.identity(0)
    recorder = FeatureRecorder(features, StatisticsEstimator(features.num_frozen) if estimator is None else estimator)
    with torch.no_grad(), pruned(model, recorder, update_every=update_every, adapter=adapter) as memory:
        for batch in batches:
            memory.adapter.forward(model, batch, memory.cache())
    return recorder.estimators[0].result(source)


def estimate_by_layer(
    model: torch.nn.Module,
    batches: Iterable[Mapping[str, Any]],
    features: Features,
    *,
    update_every: int,
    source: str,
    adapter: Adapter | str | None = None,
) -> list[FeatureStatistics]:
    """As `estimate_statistics`, one set for each layer.

    Raises:
        CheckpointError: If no batch reaches an update.
    """
    found = find_adapter(model) if adapter is None else adapter
    by_name = adapter_by_name(found) if isinstance(found, str) else found
    layers = by_name.num_layers(model)
    if not features.num_frozen:
        return [FeatureStatistics.identity(0)] * layers
    recorder = FeatureRecorder(features, [StatisticsEstimator(features.num_frozen) for _ in range(layers)])
    with torch.no_grad(), pruned(model, recorder, update_every=update_every, adapter=by_name) as memory:
        for batch in batches:
            memory.adapter.forward(model, batch, memory.cache())
    return [each.result(f"{source}, layer {number}") for number, each in enumerate(recorder.estimators)]
