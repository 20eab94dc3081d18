"""From a source to its inputs, whatever the modality."""

from collections.abc import Callable

from namm_xmodal.config.sources import InputSource, LanguageSource, RlSource, VideoSource
from namm_xmodal.errors import NammError
from namm_xmodal.language.models import LanguageModel, load_language_model
from namm_xmodal.unlabelled.source import Inputs


def open_source(source: InputSource, load: Callable[..., LanguageModel] = load_language_model) -> Inputs:
    """The inputs of a source, made one after another.

    Modules are imported when they are needed: gymnasium and PyAV are extras.

    Args:
        source: Of any modality.
        load: Takes name, dtype and device of a language model.

    Raises:
        NammError: If a model, or what it reads, cannot be loaded.
    """
    if isinstance(source, LanguageSource):
        from namm_xmodal.unlabelled.language import language_inputs

        return language_inputs(source, load)
    if isinstance(source, VideoSource):
        from namm_xmodal.unlabelled.video import video_inputs

        return video_inputs(source)
    if isinstance(source, RlSource):
        from namm_xmodal.unlabelled.rl import rl_inputs

        return rl_inputs(source)
    raise NammError(f"no inputs of {type(source).__name__}")


def count_inputs(source: InputSource) -> int:
    """How many inputs a source has, before anything is loaded.

    Raises:
        NammError: If the models of a family cannot be found.
    """
    if isinstance(source, RlSource):
        from namm_xmodal.unlabelled.rl import rl_models

        return source.count * len(rl_models(source))
    return source.count
