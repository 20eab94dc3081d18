"""Feature statistics of a run: estimated on the unpruned models over training samples and sources, then frozen."""

from collections.abc import Iterator
from typing import Any

import torch

from namm_xmodal.fitness.agree import PREFIX, AgreeObjective
from namm_xmodal.fitness.language import LanguageObjective
from namm_xmodal.fitness.mixture import Mixture
from namm_xmodal.memory.statistics import estimate_statistics
from namm_xmodal.policies.namm import FeatureStatistics, StatisticsEstimator
from namm_xmodal.policies.namm.features import Features
from namm_xmodal.types import OnProgress


def statistics_of(
    objective: Mixture,
    samples: int,
    features: Features,
    on_progress: OnProgress = lambda done, total, model: None,
) -> FeatureStatistics:
    """Pools the features of the first `samples` training samples of every task on every model, and inputs of every source.

    As published: no labels, no reward, an unpruned cache, one set for all layers and heads (and here: models).

    Args:
        objective: The run's objective.
        samples: Samples of each task, and inputs of each source of agreement.
        features: Those that will use the statistics; nothing is read if no channel needs any.
        on_progress: Called before each text with the number of texts done, of all texts, and the model's name.
    """
    if not features.num_frozen:
        return FeatureStatistics.identity(0)
    pooled = StatisticsEstimator(features.num_frozen)
    words = []
    if objective.tasks is not None:
        words.append(_of_tasks(objective.tasks, samples, features, pooled, on_progress))
    if objective.agree is not None:
        words.append(_of_sources(objective.agree, samples, features, pooled, on_progress))
    return pooled.result(f"estimated on {', and '.join(words)}")


def _of_tasks(
    objective: LanguageObjective, samples: int, features: Features, pooled: StatisticsEstimator, on_progress: OnProgress
) -> str:
    """Adds the tasks' samples; says what they were."""
    settings = objective.settings
    places = [(task, index) for task in settings.tasks for index in range(min(samples, settings.pool))]
    for turn, name in enumerate(settings.models):
        on_progress(turn * len(places), len(settings.models) * len(places), name)
        model = objective.model_named(name).model

        def batches(turn: int = turn, name: str = name, model: Any = model) -> Iterator[dict[str, torch.Tensor]]:
            for done, (task, index) in enumerate(places):
                on_progress(turn * len(places) + done, len(settings.models) * len(places), name)
                yield {"input_ids": torch.tensor([objective.pool_of(name, task)[index].prompt], device=model.device)}

        found = estimate_statistics(
            model, batches(), features, update_every=settings.pruning.update_every, source="", estimator=pooled
        )
        pooled_count = found.count
    texts = samples * len(settings.tasks)
    return (
        f"{', '.join(settings.models)}, {texts} training texts per model, {pooled_count:,} tokens and heads, "
        f"update every {settings.pruning.update_every}"
    )


def _of_sources(
    objective: AgreeObjective, samples: int, features: Features, pooled: StatisticsEstimator, on_progress: OnProgress
) -> str:
    """Adds the sources' inputs; says what they were."""
    sources = objective.settings.sources
    places = [(name, index) for name, source in sources.items() for index in range(min(samples, source.count))]
    for done, (name, index) in enumerate(places):
        on_progress(done, len(places), name)
        each = objective.given(PREFIX + name, index)
        every = sources[name].update_every
        estimate_statistics(each.model, [each.inputs], features, update_every=every, source="", estimator=pooled)
    return f"{len(places)} inputs without labels of {', '.join(sources)}"
