"""An evolved NAMM without its parameters, small enough to send to workers."""

from dataclasses import dataclass, field
from typing import Literal

import torch

from namm_xmodal.policies.namm import (
    BamScorer,
    FeatureStatistics,
    MlpScorer,
    Namm,
    ThresholdSchedule,
    make_features,
)
from namm_xmodal.policies.namm.channels.building import FeaturesSpec
from namm_xmodal.types import Budget


@dataclass(frozen=True)
class TemplateSpec:
    """What members share.

    Attributes:
        mean: Feature means, one for each number that frozen statistics standardise.
        std: Feature deviations.
        source: Where they come from.
        count: Tokens they were estimated from.
        scorer: `bam` or `mlp`.
        features: The name of a channel, or a list of names and mappings.
        ema_coefficient: Decay of averaged attention per query, for channels that say nothing else.
        threshold: Tokens that score at least this are kept.
        max_tokens: Hard cap of kept tokens, None for none.
        schedule: Of thresholds, and what is kept beyond.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    count: int = 0
    scorer: Literal["bam", "mlp"] = "bam"
    features: FeaturesSpec = "spectrogram"
    ema_coefficient: float = 0.99
    threshold: float = 0.0
    max_tokens: Budget | None = None
    schedule: ThresholdSchedule = field(default_factory=ThresholdSchedule)


def make_template(spec: TemplateSpec) -> Namm:
    """A NAMM with zero parameters, whose parameters members replace."""
    statistics = FeatureStatistics(
        torch.tensor(spec.mean, dtype=torch.float32),
        torch.tensor(spec.std, dtype=torch.float32),
        spec.source,
        spec.count,
    )
    return Namm.untrained(
        "zeros",
        statistics=statistics,
        features=make_features(spec.features, ema_coefficient=spec.ema_coefficient),
        scorer=BamScorer() if spec.scorer == "bam" else MlpScorer(),
        threshold=spec.threshold,
        max_tokens=spec.max_tokens,
        schedule=spec.schedule,
    )
