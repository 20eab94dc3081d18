"""LLaVA-NeXT-Video as transformers has it: vision features are tokens of the language model, whose cache is pruned.

Features of a video replace its placeholder
tokens frame by frame and row by row, so place i of a video is frame i // g^2, row i % g^2 // g, column i % g of its
pooled g x g grid, and every cached position knows what it shows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from transformers import LlavaNextVideoForConditionalGeneration

from namm_xmodal.adapters.vision_language import VisionLanguageAdapter


class Place(NamedTuple):
    """What a visual token shows: a cell of the pooled grid of one frame, all counted from 0."""

    frame: int
    row: int
    column: int


class LlavaNextVideoAdapter(VisionLanguageAdapter):
    """`LlavaNextVideoForConditionalGeneration` of transformers, with any vision tower and language model inside."""

    name = "llava_next_video"

    def missing(self, model: torch.nn.Module) -> str | None:
        """See `Adapter.missing`."""
        if not isinstance(model, LlavaNextVideoForConditionalGeneration):
            return "is not a LlavaNextVideoForConditionalGeneration of transformers"
        return missing_grid(model.config) or super().missing(model)

    def token_kinds(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> list[list[str]]:
        """See `Adapter.token_kinds`: "text", "image", "padding", or "frame f row r column c"."""
        config: Any = model.config
        ids = inputs["input_ids"]
        mask = inputs.get("attention_mask")
        real = torch.ones_like(ids) if mask is None else mask
        kinds = []
        for row, shown in zip(ids.tolist(), real.tolist(), strict=True):
            places = token_places(model, row)
            kinds.append([_kind(*each, config.image_token_id) for each in zip(row, shown, places, strict=True)])
        return kinds


def token_places(model: torch.nn.Module, ids: list[int]) -> list[Place | None]:
    """Which cell of which frame each token of one row shows; None for text.

    Args:
        model: The model.
        ids: Tokens of the prompt, video placeholders expanded.
    """
    config: Any = model.config
    side = grid_side(config)
    places: list[Place | None] = []
    seen = 0
    for token in ids:
        if token == config.video_token_id:
            frame, cell = divmod(seen, side * side)
            places.append(Place(frame, *divmod(cell, side)))
            seen += 1
        else:
            places.append(None)
    return places


def grid_side(config: Any) -> int:
    """Cells along a side of a frame after pooling, g; a frame is g * g tokens."""
    return int(config.vision_config.image_size // config.vision_config.patch_size // config.spatial_pool_stride)


def missing_grid(config: Any) -> str | None:
    """Why a configuration's patch grid cannot be pooled; None if it can."""
    vision = config.vision_config
    patches, rest = divmod(int(vision.image_size), int(vision.patch_size))
    stride = int(config.spatial_pool_stride)
    if rest or patches % stride:
        return (
            f"has pictures of {vision.image_size} pixels in patches of {vision.patch_size}: expected a patch grid that "
            f"is divisible by the pooling stride {stride}"
        )
    return None


def _kind(token: int, real: int, place: Place | None, image: int) -> str:
    if not real:
        return "padding"
    if place is not None:
        return f"frame {place.frame} row {place.row} column {place.column}"
    return "image" if token == image else "text"
