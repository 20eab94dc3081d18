"""Puts the parts together: transformers' own LLaVA-NeXT-Video class around a `timm` tower and a language model."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    LlavaNextVideoProcessor,
    TimmWrapperConfig,
)
from transformers.models.llava_next.image_processing_llava_next import LlavaNextImageProcessor
from transformers.models.llava_next_video.modeling_llava_next_video import LlavaNextVideoMultiModalProjector
from transformers.models.llava_next_video.video_processing_llava_next_video import LlavaNextVideoVideoProcessor

from namm_xmodal.errors import DataError
from namm_xmodal.language.models import load_language_model
from namm_xmodal.trust.files import MIB
from namm_xmodal.trust.safetensors_file import read_safetensors
from namm_xmodal.video.parts.chat import TEMPLATE
from namm_xmodal.video.parts.low_rank import merge_low_rank
from namm_xmodal.video.parts.parts import Parts
from namm_xmodal.video.parts.tower_weights import TOWER, tower_weights
from namm_xmodal.video.timm_tower import GridTower

IMAGE, VIDEO = "<image>", "<video>"


def assemble(parts: Parts, dtype: str = "float32", trained: Path | None = None) -> tuple[Any, Any, str]:
    """Fetches the parts where they are absent and builds model and processor.

    Args:
        parts: What to build.
        dtype: As for `load_language_model`.
        trained: File of projector and additions to the language model; a random projector without it.

    Returns:
        Model in `eval` mode, processor, and where the parts come from.

    Raises:
        DataError: If a part cannot be had, or `trained` is not of these parts.
    """
    language = load_language_model(parts.language, dtype=dtype)
    processor = make_processor(parts, language.tokenizer)
    tokenizer = processor.tokenizer
    before = language.model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > before:
        language.model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():  # placeholders are replaced by features and never said
            language.model.get_input_embeddings().weight[before:] = 0
    config = LlavaNextVideoConfig(
        vision_config=tower_config(parts),
        text_config=language.model.config,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        video_token_index=tokenizer.convert_tokens_to_ids(VIDEO),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=[[parts.side, parts.side]],
        tie_word_embeddings=language.model.config.tie_word_embeddings,
    )
    with torch.device("meta"):
        model = LlavaNextVideoForConditionalGeneration(config)
    precision = language.model.dtype
    model.model.vision_tower = make_tower(parts).to(precision)
    model.model.multi_modal_projector = LlavaNextVideoMultiModalProjector(config).to(precision)
    model.model.image_newline = nn.Parameter(torch.zeros(config.text_config.hidden_size, dtype=precision))
    model.model.language_model = language.model.model
    model.lm_head = language.model.lm_head
    if trained is not None:
        load_trained(model, trained, parts)
    tower = f"{TOWER.parts[0].requirement} (sha256 {TOWER.sha256})" if parts.tower_weights else "random"
    source = f"{language.source}; tower {tower}"
    return model.eval(), processor, source


def tower_config(parts: Parts) -> TimmWrapperConfig:
    """The tower's configuration, with the sizes that LLaVA reads from it."""
    return TimmWrapperConfig(
        architecture=parts.tower,
        do_pooling=False,
        image_size=parts.side,
        patch_size=parts.patch,
        hidden_size=parts.width,
    )


def make_tower(parts: Parts) -> GridTower:
    """The tower, with its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = GridTower(tower_config(parts))
    if parts.tower_weights:
        tower.timm_model.load_state_dict(tower_weights(list(tower.timm_model.state_dict())))
    tower.eval()
    return tower


def make_processor(parts: Parts, tokenizer: Any) -> LlavaNextVideoProcessor:
    """The language model's tokenizer with two placeholders, and pictures resized to the tower's side."""
    tokenizer.add_special_tokens({"extra_special_tokens": [IMAGE, VIDEO]})
    tokenizer.image_token, tokenizer.video_token = IMAGE, VIDEO
    tokenizer.image_token_id, tokenizer.video_token_id = tokenizer.convert_tokens_to_ids([IMAGE, VIDEO])
    size: dict[str, Any] = {
        "size": {"height": parts.side, "width": parts.side},
        "crop_size": {"height": parts.side, "width": parts.side},
        "do_center_crop": False,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    return LlavaNextVideoProcessor(
        video_processor=LlavaNextVideoVideoProcessor(**size),
        image_processor=LlavaNextImageProcessor(**size, image_grid_pinpoints=[[parts.side, parts.side]]),
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
        patch_size=parts.patch,
        vision_feature_select_strategy="full",
    )


def load_trained(model: Any, path: Path, parts: Parts) -> None:
    """Loads the projector and merges the additions into the language model.

    Raises:
        DataError: If the file is damaged or of other parts.
    """
    stored = read_safetensors(path, error=DataError, expected="the trained part of such a model", most=2048 * MIB)
    try:
        projector = {
            name.removeprefix("projector."): value for name, value in stored.items() if name.startswith("projector.")
        }
        model.model.multi_modal_projector.load_state_dict(projector)
        additions = {name: value for name, value in stored.items() if not name.startswith("projector.")}
        merge_low_rank(model.model.language_model, additions, parts.scale)
    except (RuntimeError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path}: not the trained part of such a model ({reason}); make it again") from None
