"""Loads a video model in the published layout: by a short name, from a folder or from the hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from namm_xmodal.errors import ConfigError, DataError, UnknownNameError, UnsupportedModelError
from namm_xmodal.language.precision import choose_dtype
from namm_xmodal.language.quiet import quiet_transformers
from namm_xmodal.trust.model_folder import ModelFolder, loading, open_model_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from namm_xmodal.video.benchmarks.question import Prompt
    from namm_xmodal.video.tokens import EmbeddedPrompt

SHIPPED = {"llava-small": "seed0", "llava-small-seed1": "seed1"}
"""Short names and their folders in `video/shipped/llava-small`."""
ASSEMBLED = {"llava-smollm2": "llava-smollm2"}
"""Short names and their folders in `video/shipped`: what was trained; the parts come from registry packages."""
LLAVA = "llava_next_video"
"""The type of models whose visual tokens are at hand one by one."""
_DESCRIPTIONS = {
    "llava-small": "LLaVA-NeXT-Video of 0.96 million parameters trained on generated videos (seed 0); shipped; Apache-2.0",
    "llava-small-seed1": "the same, trained with seed 1; shipped; Apache-2.0",
    "llava-smollm2": "EfficientNet-Lite0, a trained projector and SmolLM2-135M with low-rank additions; 140 million "
    "parameters, of which 2 million are shipped and the others fetched once; Apache-2.0",
}
_EXPECTED = (
    f"one of {', '.join(_DESCRIPTIONS)}, a folder with config, weights and processor, or a hub id of a checkpoint that "
    "takes videos"
)


@dataclass(frozen=True)
class VideoModel:
    """A LLaVA-NeXT-Video model that is ready to use, and where it came from.

    Attributes:
        leaves_out_tokens: Whether visual tokens are at hand before the language model reads them, so that reductions can
            leave some out; other models' processors and encoders keep them to themselves.
        model: `LlavaNextVideoForConditionalGeneration` in `eval` mode.
        processor: Its processor: tokenizer, video processor and chat template.
        name: As asked for.
        source: Package, hub id and revision, or folder.
        dtype: Precision of the weights.
    """

    leaves_out_tokens: ClassVar[bool] = True

    model: Any
    processor: Any
    name: str
    source: str
    dtype: str

    def encode(self, frames: "NDArray[np.uint8]", times: Sequence[float] = ()) -> Any:
        """What all questions about a video share.

        Args:
            frames: (F, height, width, 3).
            times: Of each frame, seconds.
        """
        from namm_xmodal.video.vision import encode_video

        return encode_video(self, frames)

    def embed(self, prompt: "Prompt", seen: Any) -> "EmbeddedPrompt":
        """What the language model reads.

        Args:
            prompt: Texts and ranges of frames.
            seen: What `encode` returned, or what a reduction has left of it.

        Raises:
            ItemError: If the prompt or an option cannot be made into tokens.
            DataError: If the model cannot read any.
        """
        from namm_xmodal.video.tokens import embed_prompt
        from namm_xmodal.video.visual_tokens import VisualTokens, all_tokens

        return embed_prompt(self, prompt, seen if isinstance(seen, VisualTokens) else all_tokens(seen))

    def rope_factor(self, prompt: "EmbeddedPrompt", more: int) -> int:
        """By which positions are divided so that a prompt and `more` tokens after it fit; see `scaled_rope`."""
        from namm_xmodal.video.rope import rope_factor

        return rope_factor(self.model.config, prompt.full, int((~prompt.visual).sum()) + more)

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self.model.parameters())
        return f"{type(self).__name__}({self.name!r}, {count:,} parameters, {self.dtype}, from {self.source})"

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer


def list_video_models() -> dict[str, str]:
    """Models known by a short name, with one line about each."""
    return dict(_DESCRIPTIONS)


def load_video_model(name: str, *, dtype: str = "auto", device: str = "cpu") -> VideoModel:
    """Loads a model and its processor.

    Args:
        name: `llava-small`, `llava-small-seed1` (shipped), `llava-smollm2` (put together from registry packages), a folder
            in the published layout or made by `prepare video`, or a hub id such as `llava-hf/LLaVA-NeXT-Video-7B-hf` or
            that of another vision-language model whose processor takes videos (Qwen-VL, InternVL, SmolVLM, OneVision).
        dtype: `auto`, `float32`, `bfloat16` or `float16`; see `choose_dtype`. The small model runs in float32 with `auto`.
        device: Anything `torch.device` takes.

    Raises:
        UnknownNameError: If the name is nearly one of the short names.
        DataError: If the model cannot be fetched or read.
        UnsupportedModelError: If it is another kind of model.
        ConfigError: If `dtype` or `device` is not one that exists here.
    """
    precision = choose_dtype("float32" if dtype == "auto" and name in SHIPPED else dtype, device)
    assembled = parts_folder(name)
    if assembled is not None:
        model, processor, source = _assemble(assembled, str(precision).removeprefix("torch."))
        return VideoModel(_to_device(model, device), processor, name, source, str(precision).removeprefix("torch."))
    if name in SHIPPED:
        source = f"package, {SHIPPED[name]}"
    else:
        source = f"folder {name}" if Path(name).is_dir() else f"hub {name}"
    place = place_of(name)
    model, processor, revision = _from_pretrained(place, precision, name)
    if source.startswith("hub") and revision:
        source += f"@{revision}"
    found = (_to_device(model, device), processor, name, source, str(precision).removeprefix("torch."))
    if model.config.model_type == LLAVA:
        return VideoModel(*found)
    from namm_xmodal.video.processor_model import ProcessorVideoModel

    return ProcessorVideoModel(*found)


def _to_device(model: Any, device: str) -> Any:
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"device: {device!r}: {reason}; expected a device of this machine, such as cpu") from error


def place_of(name: str) -> str:
    """Where a model is loaded from: a folder of the package, one of the user's, or a hub id.

    Raises:
        UnknownNameError: If the name is nearly one of the short names.
    """
    if name in SHIPPED:
        return str(Path(__file__).parent / "shipped" / "llava-small" / SHIPPED[name])
    near = "/" not in name and get_close_matches(name, list(_DESCRIPTIONS), n=1, cutoff=0.6)
    if near and not Path(name).is_dir():
        raise UnknownNameError("video model", name, list(_DESCRIPTIONS))
    return name


def parts_folder(name: str) -> Path | None:
    """The folder of a model that is put together from parts; None if the name is another's."""
    if name in ASSEMBLED:
        return Path(__file__).parent / "shipped" / ASSEMBLED[name]
    return Path(name) if (Path(name) / "parts.json").is_file() else None


def _assemble(folder: Path, dtype: str) -> tuple[Any, Any, str]:
    from namm_xmodal.video.parts.assemble import assemble
    from namm_xmodal.video.parts.parts import WEIGHTS, read_parts

    return assemble(read_parts(folder), dtype, folder / WEIGHTS)


def _from_pretrained(place: str, precision: torch.dtype, name: str) -> tuple[Any, Any, str | None]:
    """Model, processor, and the commit if they come from the hub."""
    from transformers import AutoModelForImageTextToText

    folder, processor = open_with_processor(place, name)
    timm = folder.config.model_type == LLAVA and folder.config.vision_config.model_type == "timm_wrapper"
    with quiet_transformers(), loading(name, _EXPECTED):
        if timm:
            from namm_xmodal.video.timm_tower import adapt_timm_tower
        model, _ = folder.model(AutoModelForImageTextToText, precision)
    if timm:
        adapt_timm_tower(model, name)
    return model, processor, folder.revision


def open_with_processor(place: str, name: str, *, local: bool = False) -> tuple[ModelFolder, Any]:
    """A model's folder and its processor, before the weights are loaded.

    Args:
        place: A folder or hub id.
        name: Of the model, for messages.
        local: Fetch nothing.

    Raises:
        DataError: If they cannot be had or read; its cause is an OSError if there is no such model.
        UnsupportedModelError: If it is another kind of model.
    """
    from transformers import AutoProcessor
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as SEEING

    with quiet_transformers(), loading(name, _EXPECTED):
        folder = open_model_folder(place, error=DataError, local=local)
        if folder.config.model_type not in SEEING:
            raise UnsupportedModelError(
                f"model {name!r} is of type {folder.config.model_type}, which takes no videos; expected a "
                "vision-language model that takes videos, such as llava_next_video or qwen2_5_vl"
            )
        processor = folder.part(AutoProcessor)
        if getattr(processor, "video_processor", None) is None:
            raise UnsupportedModelError(
                f"model {name!r} of type {folder.config.model_type}: its processor takes no videos; expected a checkpoint "
                "whose processor does"
            )
        return folder, processor
