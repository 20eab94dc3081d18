"""All modalities by the name of their section in a configuration."""

from collections.abc import Mapping

from namm_xmodal.evaluation.modality import Modality
from namm_xmodal.modalities.language.modality import Language
from namm_xmodal.modalities.rl.modality import ReinforcementLearning
from namm_xmodal.modalities.video.modality import Video
from namm_xmodal.plugins import Registry

MODALITIES: Mapping[str, Modality] = Registry(
    "modalities", {"language": Language(), "video": Video(), "rl": ReinforcementLearning()}
)
