"""Feature statistics of a run: estimated on the unpruned base models over training samples, then frozen."""

import torch

from namm_xmodal.fitness.language import LanguageObjective
from namm_xmodal.memory.statistics import estimate_statistics
from namm_xmodal.policies.namm import FeatureStatistics, SpectrogramFeatures, StatisticsEstimator


def statistics_of(objective: LanguageObjective, samples: int, ema_coefficient: float) -> FeatureStatistics:
    """Pools the features of the first `samples` training samples of every task on every model of a run.

    As published: no labels, no reward, an unpruned cache, one set for all layers and heads (and here: models).

    Args:
        objective: The run's objective.
        samples: Samples of each task.
        ema_coefficient: Decay of the features that will use the statistics.
    """
    settings = objective.settings
    features = SpectrogramFeatures(ema_coefficient=ema_coefficient)
    pooled = StatisticsEstimator(features.channels)
    for name in settings.models:
        model = objective.model_named(name).model
        batches = [
            {"input_ids": torch.tensor([objective.pool_of(name, task)[index].prompt], device=model.device)}
            for task in settings.tasks
            for index in range(min(samples, settings.pool))
        ]
        found = estimate_statistics(
            model, batches, features, update_every=settings.pruning.update_every, source="", estimator=pooled
        )
        pooled_count = found.count
    texts = samples * len(settings.tasks)
    return pooled.result(
        f"estimated on {', '.join(settings.models)}, {texts} training texts a model, {pooled_count:,} tokens and heads, "
        f"update every {settings.pruning.update_every}"
    )
