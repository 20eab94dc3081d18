"""All channels by name, as configurations and saved policies know them."""

from collections.abc import Mapping

from namm_xmodal.plugins import Registry
from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.namm.channels.convolution import Convolution
from namm_xmodal.policies.namm.channels.key_novelty import KeyNovelty
from namm_xmodal.policies.namm.channels.mean_attention import MeanAttention
from namm_xmodal.policies.namm.channels.nearest_key import NearestKey
from namm_xmodal.policies.namm.channels.projection import Projection
from namm_xmodal.policies.namm.channels.recent_attention import RecentAttention
from namm_xmodal.policies.namm.channels.relative_age import RelativeAge
from namm_xmodal.policies.namm.channels.spectrogram import Spectrogram
from namm_xmodal.policies.namm.channels.unrotated_key_novelty import UnrotatedKeyNovelty
from namm_xmodal.policies.namm.channels.value_norm import ValueNorm

CHANNELS: Mapping[str, type[Channel]] = Registry(
    "channels",
    {
        kind.name: kind
        for kind in (
            Spectrogram,
            MeanAttention,
            Projection,
            Convolution,
            RecentAttention,
            KeyNovelty,
            UnrotatedKeyNovelty,
            NearestKey,
            ValueNorm,
            RelativeAge,
        )
    },
)
