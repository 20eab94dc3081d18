"""The objective of evolution on language: answer likelihood on tasks, relative to the full cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.errors import DataError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.objective import Shard, ShardResult
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.fitness.pool import SamplePool, TrainingSample, check_labels, draw
from namm_xmodal.fitness.population_run import PruningSettings, base_score, by_sample, joined, run_rows
from namm_xmodal.fitness.template import TemplateSpec, make_template
from namm_xmodal.language.models import LanguageModel, load_language_model
from namm_xmodal.policies.namm import NammPopulation
from namm_xmodal.policies.protocol import Policy


@dataclass(frozen=True)
class ObjectiveSettings:
    """What the fitness of a run is made of; small and picklable, for workers.

    Attributes:
        models: Names of the base models; members are scored on every one of them.
        tasks: Label to task (a frozen dataclass of `namm_xmodal.language`).
        samples: Samples of each task a generation, the same for all members.
        pool: Training samples of each task; a generation draws from them without replacement.
        pruning: How members prune.
        seed: Seed of the samples and of their order. Evaluation must use another one.
        dtype: Precision of the models.
        device: Where they run.
        threads: Threads of a worker.
        rows: Most members in one batch; memory grows with it, results do not change.
    """

    models: tuple[str, ...]
    tasks: Mapping[str, Any]
    samples: int
    pool: int
    pruning: PruningSettings
    seed: int = 0
    dtype: str = "auto"
    device: str = "cpu"
    threads: int = 1
    rows: int = 32


@dataclass
class LanguageObjective:
    """Scores populations on language tasks; one shard is one sample of one task on one model.

    Attributes:
        settings: What the fitness is made of.
        spec: What members share.
    """

    settings: ObjectiveSettings
    spec: TemplateSpec
    _models: dict[str, LanguageModel] = field(default_factory=dict, repr=False)
    _pools: dict[tuple[str, str], SamplePool] = field(default_factory=dict, repr=False)
    _base: dict[tuple[str, str, int], float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Makes what members share."""
        check_labels(self.settings.tasks)
        self.template = make_template(self.spec)

    @property
    def num_parameters(self) -> int:
        """Length of a member."""
        return self.template.parameters.shape[-1]

    def shards(self, generation: int) -> list[Shard]:
        """One shard per model, task and sample; a function of the seed and `generation` alone."""
        settings = self.settings
        shards = []
        for salt, label in enumerate(settings.tasks):
            samples = draw(settings.pool, settings.samples, generation, settings.seed, salt)
            shards += [Shard(label, (sample,), model) for model in settings.models for sample in samples]
        return shards

    def evaluate(self, members: Array, shard: Shard) -> ShardResult:
        """Scores (P, N) members on a shard.

        Raises:
            DataError: If the shard is not of this objective.
        """
        blocks = torch.from_numpy(np.ascontiguousarray(members)).float().split(self.settings.rows)
        return joined([self.run_rows(NammPopulation(rows, self.template), len(rows), shard) for rows in blocks])

    def run_rows(self, policy: Policy, count: int, shard: Shard) -> ShardResult:
        """Scores a policy that prunes each of `count` rows in its own way, in one batch.

        Raises:
            DataError: If the shard is not of this objective.
        """
        if not self.has(shard):
            raise DataError(f"shard {shard.label}: not a task and model of this run")
        model, pool = self.model_named(shard.model).model, self.pool_of(shard.model, shard.task)
        runs = [run_rows(model, pool[index], policy, count, self.settings.pruning) for index in shard.samples]
        return by_sample(runs, [self._base_score(shard.model, shard.task, index) for index in shard.samples])

    def has(self, shard: Shard) -> bool:
        """Whether a shard is of one of these tasks and models."""
        return shard.task in self.settings.tasks and shard.model in self.settings.models

    def lesson(self, shard: Shard) -> Lesson:
        """The first sample of a shard, for gradients: negative log-likelihood of the answer, nats per token."""
        model = self.model_named(shard.model).model
        sample = self.pool_of(shard.model, shard.task)[shard.samples[0]]
        return answer_lesson(model, sample, self.settings.pruning)

    def _base_score(self, model: str, task: str, index: int) -> float:
        key = (model, task, index)
        if key not in self._base:
            self._base[key] = base_score(self.model_named(model).model, self.pool_of(model, task)[index])
        return self._base[key]

    def model_named(self, name: str) -> LanguageModel:
        """A base model, loaded on first use."""
        if name not in self._models:
            self._models[name] = load_language_model(name, dtype=self.settings.dtype, device=self.settings.device)
        return self._models[name]

    def pool_of(self, model: str, task: str) -> SamplePool:
        """The training samples of a task in the tokens of a model, made on first use."""
        key = (model, task)
        if key not in self._pools:
            settings, loaded = self.settings, self.model_named(model)
            self._pools[key] = SamplePool(
                settings.tasks[task],
                loaded.tokenizer,
                settings.pool,
                settings.seed,
                settings.pruning.update_every,
                task,
                loaded.max_context,
            )
        return self._pools[key]


def answer_lesson(model: Any, sample: TrainingSample, pruning: PruningSettings) -> Lesson:
    """A sample as gradients take it: negative log-likelihood of the answer, nats per token."""
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]], device=model.device)
    answer = torch.tensor(sample.answer, device=model.device)

    def loss(logits: Tensor) -> Tensor:
        precise = logits[0].to(torch.promote_types(logits.dtype, torch.float32))
        return -precise.log_softmax(-1).gather(-1, answer[:, None]).mean()

    inputs = {"input_ids": ids, "logits_to_keep": len(answer)}
    return Lesson(model, find_adapter(model), inputs, loss, pruning)
