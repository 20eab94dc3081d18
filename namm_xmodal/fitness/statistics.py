"""Feature statistics of a run: estimated on the unpruned base models over training samples, then frozen."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from namm_xmodal.fitness.language import LanguageObjective
from namm_xmodal.memory.statistics import estimate_statistics
from namm_xmodal.policies.namm import FeatureStatistics, StatisticsEstimator
from namm_xmodal.policies.namm.features import Features


def statistics_of(
    objective: LanguageObjective,
    samples: int,
    features: Features,
    told: Callable[[int, int, str], None] = lambda done, total, model: None,
) -> FeatureStatistics:
    """Pools the features of the first `samples` training samples of every task on every model of a run.

    As published: no labels, no reward, an unpruned cache, one set for all layers and heads (and here: models).

    Args:
        objective: The run's objective.
        samples: Samples of each task.
        features: Those that will use the statistics; nothing is read if no channel needs any.
        told: Called before each text with the number of texts done, of all texts, and the model's name.
    """
    settings = objective.settings
    if not features.num_frozen:
        return FeatureStatistics.identity(0)
    pooled = StatisticsEstimator(features.num_frozen)
    places = [(task, index) for task in settings.tasks for index in range(min(samples, settings.pool))]
    for turn, name in enumerate(settings.models):
        told(turn * len(places), len(settings.models) * len(places), name)
        model = objective.model_named(name).model

        def batches(turn: int = turn, name: str = name, model: Any = model) -> Iterator[dict[str, torch.Tensor]]:
            for done, (task, index) in enumerate(places):
                told(turn * len(places) + done, len(settings.models) * len(places), name)
                yield {"input_ids": torch.tensor([objective.pool_of(name, task)[index].prompt], device=model.device)}

        found = estimate_statistics(
            model, batches(), features, update_every=settings.pruning.update_every, source="", estimator=pooled
        )
        pooled_count = found.count
    texts = samples * len(settings.tasks)
    return pooled.result(
        f"estimated on {', '.join(settings.models)}, {texts} training texts a model, {pooled_count:,} tokens and heads, "
        f"update every {settings.pruning.update_every}"
    )
