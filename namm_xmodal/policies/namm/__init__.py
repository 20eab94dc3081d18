"""The NAMM policy: features of received attention and cached keys, a small scorer and a threshold."""

from namm_xmodal.policies.namm.bam import BamScorer
from namm_xmodal.policies.namm.channels import Channel
from namm_xmodal.policies.namm.channels.building import make_features
from namm_xmodal.policies.namm.features import Features
from namm_xmodal.policies.namm.linear_start import last_layer, linear_start
from namm_xmodal.policies.namm.mlp import MlpScorer
from namm_xmodal.policies.namm.policy import Namm
from namm_xmodal.policies.namm.population import NammPopulation
from namm_xmodal.policies.namm.schedule import ThresholdSchedule
from namm_xmodal.policies.namm.statistics import FeatureStatistics, StatisticsEstimator

__all__ = [
    "BamScorer",
    "Channel",
    "FeatureStatistics",
    "Features",
    "MlpScorer",
    "Namm",
    "NammPopulation",
    "StatisticsEstimator",
    "ThresholdSchedule",
    "last_layer",
    "linear_start",
    "make_features",
]
