"""Channels: the features of a token that a NAMM can use, one file each."""

from namm_xmodal.policies.namm.channels.channel import Channel, Standardise
from namm_xmodal.policies.namm.channels.convolution import Convolution
from namm_xmodal.policies.namm.channels.key_novelty import KeyNovelty
from namm_xmodal.policies.namm.channels.mean_attention import MeanAttention
from namm_xmodal.policies.namm.channels.nearest_key import NearestKey
from namm_xmodal.policies.namm.channels.projection import Projection
from namm_xmodal.policies.namm.channels.recent_attention import RecentAttention
from namm_xmodal.policies.namm.channels.relative_age import RelativeAge
from namm_xmodal.policies.namm.channels.spectrogram import Spectrogram
from namm_xmodal.policies.namm.channels.table import CHANNELS
from namm_xmodal.policies.namm.channels.unrotated_key_novelty import UnrotatedKeyNovelty
from namm_xmodal.policies.namm.channels.value_norm import ValueNorm

__all__ = [
    "CHANNELS",
    "Channel",
    "Convolution",
    "KeyNovelty",
    "MeanAttention",
    "NearestKey",
    "Projection",
    "RecentAttention",
    "RelativeAge",
    "Spectrogram",
    "Standardise",
    "UnrotatedKeyNovelty",
    "ValueNorm",
]
