"""Loads a model of any class of transformers, for `namm-xmodal check model`."""

from typing import Any

from namm_xmodal.errors import DataError, UnsupportedModelError


def load_any_model(name: str) -> Any:
    """The model in float32 and evaluation mode, of the class that its configuration names.

    Args:
        name: A name of `namm-xmodal list models`, a folder in transformers' layout or a hub id.

    Raises:
        UnknownNameError: If the name is nearly one of the short names.
        DataError: If there is no such model, or it cannot be read.
        UnsupportedModelError: If transformers has no such class.
    """
    import torch
    import transformers

    from namm_xmodal.language.models import list_models, load_language_model, refuse_near_miss
    from namm_xmodal.language.quiet import quiet_transformers
    from namm_xmodal.trust.model_folder import loading, open_model_folder

    if name in list_models():
        return load_language_model(name, dtype="float32").model
    refuse_near_miss(name)
    with quiet_transformers(), loading(name, "a folder with config.json and weights, or a hub id"):
        folder = open_model_folder(name, error=DataError)
        named = getattr(folder.config, "architectures", None) or ["none"]
        kind = getattr(transformers, str(named[0]), None)
        if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
            raise UnsupportedModelError(
                f"{name}: its config.json names the class {named[0]!r}; expected a class of transformers under "
                "`architectures`"
            )
        model, _ = folder.model(kind, torch.float32)
    return model.eval()
