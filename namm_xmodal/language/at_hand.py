"""Reads tokenizer, context length and vocabulary of a language model without loading its weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError
from namm_xmodal.language import tiny_random
from namm_xmodal.language.converted_weights import folder_if_converted
from namm_xmodal.language.models import context_of, open_with_tokenizer, refuse_near_miss
from namm_xmodal.language.registry_models import REGISTRY_MODELS
from namm_xmodal.language.rope import Rope, stretch


@dataclass(frozen=True)
class ModelAtHand:
    """Attributes as in `LanguageModel`.

    Attributes:
        tokenizer: Its tokenizer.
        max_context: Most tokens the model was built for; None if its configuration does not say.
    """

    tokenizer: Any
    max_context: int | None


def model_at_hand(name: str, rope: Rope | None = None) -> ModelAtHand | None:
    """Tokenizer and configuration of a model that is on this machine; None if it must be fetched first.

    Args:
        name: As in `load_language_model`.
        rope: As in `load_language_model`.

    Raises:
        UnknownNameError: If the name is nearly one of the short names.
        DataError: If there is no such folder, or its configuration and tokenizer cannot be read or do not fit.
    """
    if name == tiny_random.NAME:
        model, tokenizer = tiny_random.build_tiny_random(rope)
        return ModelAtHand(tokenizer, context_of(model.config))
    if name in REGISTRY_MODELS:
        folder = folder_if_converted(REGISTRY_MODELS[name])
        return None if folder is None else _read(str(folder), name, rope)
    refuse_near_miss(name)
    if Path(name).is_dir():
        return _read(name, name, rope)
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise DataError(f"model {name!r}: no such folder; expected a folder with config.json, weights and tokenizer")
    try:
        return _read(name, name, rope)
    except DataError as error:
        if isinstance(
            error.__cause__, OSError
        ):  # not in the hub's cache; whether the hub has it shows when it is fetched
            return None
        raise


def _read(place: str, name: str, rope: Rope | None) -> ModelAtHand:
    folder, tokenizer = open_with_tokenizer(place, name, local=True)
    if rope is not None:
        stretch(folder.config, rope, name)
    return ModelAtHand(tokenizer, context_of(folder.config))
