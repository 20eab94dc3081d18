"""The objective of a run: tasks, agreement with the full cache, or both."""

from dataclasses import dataclass, field
from typing import Any

import torch

from namm_xmodal.errors import DataError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.objective import Shard, ShardResult
from namm_xmodal.fitness.agree import AgreeObjective, AgreeSettings
from namm_xmodal.fitness.language import LanguageObjective, ObjectiveSettings
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.fitness.template import TemplateSpec, make_template
from namm_xmodal.language.models import LanguageModel, load_language_model
from namm_xmodal.language.precision import choose_dtype


@dataclass(frozen=True)
class MixtureFactory:
    """Makes the objective in a worker.

    Attributes:
        tasks: Tasks and their models; there may be none.
        template: What members share.
        agree: Sources of unlabelled inputs; there may be none.
    """

    tasks: ObjectiveSettings
    template: TemplateSpec
    agree: AgreeSettings = field(default_factory=AgreeSettings)

    def build(self) -> "Mixture":
        """Loads nothing yet: models are loaded when a shard first asks for them."""
        torch.set_num_threads(self.tasks.threads)
        return Mixture(self)


class Mixture:
    """Scores populations on tasks and sources; see `Objective`.

    Attributes:
        template: What members share.
        tasks: The tasks, None without any.
        agree: The sources, None without any.
    """

    def __init__(self, factory: MixtureFactory) -> None:
        """Loads nothing yet."""
        self.template = make_template(factory.template)
        self.tasks = LanguageObjective(factory.tasks, factory.template) if factory.tasks.tasks else None
        self.agree = AgreeObjective(factory.agree, self.template, self._load) if factory.agree.sources else None
        self._loaded: dict[tuple[str, Any, str], LanguageModel] = {}

    @property
    def num_parameters(self) -> int:
        """Length of a member."""
        return self.template.parameters.shape[-1]

    def shards(self, generation: int) -> list[Shard]:
        """Those of the tasks, then those of the sources."""
        return [shard for part in (self.tasks, self.agree) if part is not None for shard in part.shards(generation)]

    def evaluate(self, members: Array, shard: Shard) -> ShardResult:
        """Scores (P, N) members on a shard."""
        return self._part(shard).evaluate(members, shard)

    def lesson(self, shard: Shard) -> Lesson:
        """The first sample of a shard, for gradients."""
        return self._part(shard).lesson(shard)

    def _part(self, shard: Shard) -> LanguageObjective | AgreeObjective:
        for part in (self.tasks, self.agree):
            if part is not None and part.has(shard):
                return part
        raise DataError(f"shard {shard.label}: not a task and model, or a source, of this run")

    def _load(self, name: str, *, dtype: str, device: str) -> LanguageModel:
        """A language model for a source; that of the tasks where it is the same, so that no model is in memory twice."""
        precision = choose_dtype(dtype, device)
        if self.tasks is not None and name in self.tasks.settings.models:
            settings = self.tasks.settings
            if (choose_dtype(settings.dtype, settings.device), settings.device) == (precision, device):
                return self.tasks.model_named(name)
        key = (name, precision, device)
        if key not in self._loaded:
            self._loaded[key] = load_language_model(name, dtype=dtype, device=device)
        return self._loaded[key]
