"""Scores of an arm apart by what its items are tagged with: lengths, depths, kinds of question."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from namm_xmodal.config.evaluation import BootstrapConfig
from namm_xmodal.evaluation.estimate import Estimate, estimate
from namm_xmodal.evaluation.modality import Metric
from namm_xmodal.evaluation.record import Record

MOST_GROUPS = 12
"""A tag with more values would make more columns than anybody reads."""

Groups = Mapping[str, Mapping[str, Estimate]]
"""Tag -> value -> score."""


def options(records: Sequence[Record], metric: Metric, bootstrap: BootstrapConfig) -> dict[str, Any]:
    """How a metric of some records is estimated."""
    return {
        "estimator": metric.estimator,
        "clusters": [record.group for record in records] if metric.clustered else None,
        "strata": [record.stratum for record in records] if metric.stratified else None,
        "resamples": bootstrap.resamples,
        "level": bootstrap.level,
        "seed": bootstrap.seed,
    }


def by_tag(
    records: Sequence[Record],
    scores: Mapping[str, Mapping[str, float]],
    metric: Metric | None,
    not_compared: Collection[str],
    bootstrap: BootstrapConfig,
) -> Groups:
    """Scores by every tag that has several values, but fewer than there are items.

    Args:
        records: Of one arm on one task.
        scores: By item and metric.
        metric: The one that is shown apart; None gives no groups.
        not_compared: Tags that name an item rather than a kind of item.
        bootstrap: How intervals are drawn.
    """
    if metric is None:
        return {}
    own = [record for record in records if metric.name in scores.get(record.item, {})]
    found: dict[str, dict[str, Estimate]] = {}
    for tag in dict.fromkeys(tag for record in own for tag in record.tags if tag not in not_compared):
        apart: dict[Any, list[Record]] = {}
        for record in own:
            if record.tags.get(tag, "") != "":
                apart.setdefault(record.tags[tag], []).append(record)
        if not 1 < len(apart) <= MOST_GROUPS or len(apart) == len(own):
            continue
        for value in sorted(apart, key=lambda value: (isinstance(value, str), value)):
            values = [scores[record.item][metric.name] for record in apart[value]]
            found.setdefault(tag, {})[str(value)] = estimate(values, **options(apart[value], metric, bootstrap))
    return found
