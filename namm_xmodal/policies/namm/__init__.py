"""The NAMM policy: features of received attention, a small scorer, a threshold."""

from namm_xmodal.policies.namm.bam import BamScorer
from namm_xmodal.policies.namm.mlp import MlpScorer
from namm_xmodal.policies.namm.plain_features import MeanAttentionFeatures, ProjectionFeatures
from namm_xmodal.policies.namm.policy import Namm
from namm_xmodal.policies.namm.population import NammPopulation
from namm_xmodal.policies.namm.schedule import ThresholdSchedule
from namm_xmodal.policies.namm.spectrogram import SpectrogramFeatures
from namm_xmodal.policies.namm.statistics import FeatureStatistics, StatisticsEstimator

__all__ = [
    "BamScorer",
    "FeatureStatistics",
    "MeanAttentionFeatures",
    "MlpScorer",
    "Namm",
    "NammPopulation",
    "ProjectionFeatures",
    "SpectrogramFeatures",
    "StatisticsEstimator",
    "ThresholdSchedule",
]
