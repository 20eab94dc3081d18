"""The objective "agree with the full cache": compares a model's pruned outputs with its full-cache outputs.

No label and no reward is asked. One shard is one input of one source.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.config.agree import AgreeSource
from namm_xmodal.errors import DataError, NammError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.objective import Shard, ShardResult
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.fitness.outputs import Outputs, outputs_of
from namm_xmodal.fitness.pool import draw
from namm_xmodal.fitness.population_run import PruningSettings, SampleScores, by_sample, joined, pruned_rows
from namm_xmodal.language.models import LanguageModel
from namm_xmodal.policies.namm import Namm, NammPopulation, ThresholdSchedule
from namm_xmodal.policies.protocol import Policy
from namm_xmodal.unlabelled.opening import count_inputs, open_source
from namm_xmodal.unlabelled.source import UnlabelledInput

PREFIX = "agree."
"""Of the labels of these sources, as they stand in the configuration."""
_SALT = 1000  # tasks have the numbers below it


@dataclass(frozen=True)
class AgreeSettings:
    """Sources, and how members prune; small and picklable, for workers.

    Attributes:
        sources: Name to source.
        samples: Inputs per source and generation where the source sets none, the same for all members.
        protect_first: Oldest tokens that are never evicted.
        protect_recent: Newest tokens that are never evicted.
        seed: Seed of the order of inputs.
        rows: Most members in one batch.
        schedules: Label to the threshold schedule of its members, where it is not that of all.
    """

    sources: Mapping[str, AgreeSource] = field(default_factory=dict)
    samples: int = 1
    protect_first: int = 0
    protect_recent: int = 1
    seed: int = 0
    rows: int = 32
    schedules: Mapping[str, ThresholdSchedule] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """An input, and the tokens after which outputs are compared.

    Attributes:
        given: The input.
        adapter: Feeds its model.
        outputs: The model's kind of outputs.
        places: Q tokens, in order.
        weights: (Q,) share of each in the distance; their sum is 1.
        full: The outputs with everything in memory, (1, Q, ...).
    """

    given: UnlabelledInput
    adapter: Adapter
    outputs: Outputs
    places: list[int]
    weights: Tensor
    full: Callable[[], Tensor]

    def distance(self, other: Tensor, some: slice = slice(None)) -> Tensor:
        """(B, Q, ...) outputs at some of the places -> (B,) nats: their part of the distance."""
        with torch.no_grad():
            full = self.full()[:, some]
        return (self.outputs.distances(full, other) * self.weights[some]).sum(-1)


class AgreeObjective:
    """Scores populations on sources of unlabelled inputs; a member that evicts nothing scores 1.

    Attributes:
        labelled: The sources by their labels.
    """

    def __init__(self, settings: AgreeSettings, template: Namm, load: Callable[..., LanguageModel]) -> None:
        """Loads nothing yet.

        Args:
            settings: Sources and pruning.
            template: What members share.
            load: Loads a language model, or hands out one that is loaded.
        """
        self.settings, self.template, self._load = settings, template, load
        self.labelled = {PREFIX + name: source for name, source in settings.sources.items()}
        self._inputs: dict[str, list[UnlabelledInput]] = {}
        self._compared: dict[tuple[str, int], Compared] = {}

    def shards(self, generation: int) -> list[Shard]:
        """One shard per source and input; a function of the seed and `generation` alone."""
        settings, shards = self.settings, []
        for salt, (label, source) in enumerate(self.labelled.items(), start=_SALT):
            count = source.samples or settings.samples
            samples = draw(count_inputs(source), count, generation, settings.seed, salt)
            shards += [Shard(label, (sample,), source.model) for sample in samples]
        return shards

    def count(self, label: str) -> int:
        """Inputs of a source, before anything is loaded."""
        return count_inputs(self.labelled[label])

    def has(self, shard: Shard) -> bool:
        """Whether a shard is of one of these sources."""
        return shard.task in self.labelled and self.labelled[shard.task].model == shard.model

    def lesson(self, shard: Shard) -> Lesson:
        """The first input of a shard, for gradients."""
        each = self.compared(shard.task, shard.samples[0])
        inputs = each.outputs.wanted(each.given.inputs, each.places)

        def loss(result: Tensor) -> Tensor:
            return each.distance(each.outputs.of(each.given.model, result, each.places))[0]

        return Lesson(each.given.model, each.adapter, inputs, loss, self.pruning(shard.task), shard.task)

    def evaluate(self, members: Array, shard: Shard) -> ShardResult:
        """Scores (P, N) members on a shard: exp(-distance)."""
        blocks = torch.from_numpy(np.ascontiguousarray(members)).float().split(self.settings.rows)
        schedule = self.settings.schedules.get(shard.task, self.template.schedule)
        template = replace(self.template, schedule=schedule)
        return joined([self.run_rows(NammPopulation(rows, template), len(rows), shard) for rows in blocks])

    def run_rows(self, policy: Policy, count: int, shard: Shard) -> ShardResult:
        """Scores a policy that prunes each of `count` rows in its own way, in one batch: exp(-distance)."""
        compared = [self.compared(shard.task, index) for index in shard.samples]
        pruning = self.pruning(shard.task)
        return by_sample([_run(each, policy, count, pruning) for each in compared], [1.0] * len(compared))

    def pruning(self, label: str) -> PruningSettings:
        """How a source is pruned."""
        settings = self.settings
        return PruningSettings(self.labelled[label].update_every, settings.protect_first, settings.protect_recent)

    def given(self, label: str, index: int) -> UnlabelledInput:
        """An input of a source; they are made on first use.

        Raises:
            NammError: If a model cannot be loaded, or there are fewer inputs than asked for.
        """
        if label not in self._inputs:
            try:
                self._inputs[label] = list(open_source(self.labelled[label], self._load))
            except NammError as error:
                raise error.at(label) from None
        found = self._inputs[label]
        if index >= len(found):
            raise DataError(f"{label}.count: only {len(found)} inputs can be read; set count to at most that")
        return found[index]

    def compared(self, label: str, index: int) -> Compared:
        """An input with the places that count and its outputs with everything in memory, computed on first use.

        Raises:
            DataError: If no update comes before a place that counts.
            UnsupportedModelError: If the model's outputs cannot be compared.
        """
        key = (label, index)
        if key not in self._compared:
            each, every = self.given(label, index), self.labelled[label].update_every
            try:
                adapter = find_adapter(each.model)
                outputs = outputs_of(each.model, adapter)
            except NammError as error:
                raise error.at(label) from None
            places = outputs.positions(max(every, each.count_from), each.length)
            if not places:
                raise DataError(
                    f"{label}: {each.name}: {each.length} tokens: no update (update_every={every}) before any "
                    "output that counts; use more tokens or a smaller update_every"
                )
            compute = partial(_full, each, adapter, outputs, places)
            full = outputs.remembered(each.model, compute)
            self._compared[key] = Compared(each, adapter, outputs, places, _weights(each, len(places)), full)
        return self._compared[key]


@torch.no_grad()
def _run(each: Compared, policy: Policy, count: int, pruning: PruningSettings) -> SampleScores:
    """One input in one batch of rows."""
    model, outputs = each.given.model, each.outputs
    distance = torch.zeros(count, device=each.weights.device)
    with pruned_rows(model, each.given.inputs, policy, count, pruning) as rows:
        rows.forward_once(pruning.update_every - 1, lambda inputs: outputs.wanted(inputs, [0]))
        step = outputs.at_once(model, count)
        for first in range(0, len(each.places), step):
            some = slice(first, first + step)
            places = [at - rows.read for at in each.places[some]]
            result = rows.forward(each.places[some][-1] + 1, partial(outputs.wanted, places=places))
            distance = distance + each.distance(outputs.of(model, result, places), some)
        return rows.scored(distance.double().neg().exp().cpu().numpy())


def _full(each: UnlabelledInput, adapter: Adapter, outputs: Outputs, places: list[int]) -> Tensor:
    """(1, Q, ...) outputs with everything in memory."""
    model: Any = each.model
    cache = DynamicCache(config=adapter.decoder(model).config)
    with torch.no_grad():
        return outputs.of(model, adapter.forward(model, outputs.wanted(each.inputs, places), cache), places)


def _weights(each: UnlabelledInput, count: int) -> Tensor:
    """(Q,) share of each place: evenly, but for what the last one has by itself."""
    device = next(iter(each.inputs.values())).device
    weights = torch.full((count,), (1.0 - each.last) / count, device=device)
    weights[-1] += each.last
    return weights
