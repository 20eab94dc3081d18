"""Encodes the frames of a video once, for all policies and baselines."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.video.models import VideoModel

FRAMES_AT_ONCE = 16
"""Frames that go through the vision tower together; bounds memory, changes nothing."""


@dataclass(frozen=True)
class EncodedVideo:
    """What the vision tower makes of a video.

    Attributes:
        patches: (F, P * P, C) features of every patch before pooling.
        side: P.
        features: (F, g * g, D) tokens of the language model after the model's own pooling and projection.
        grid: g.
        pixels: (F, 3, height, width) what the tower read, for reductions that look into it.
    """

    patches: Tensor
    side: int
    features: Tensor
    grid: int
    pixels: Tensor


@torch.no_grad()
def encode_video(loaded: VideoModel, frames: NDArray[np.uint8]) -> EncodedVideo:
    """Runs the vision tower.

    Args:
        loaded: The model.
        frames: (F, height, width, 3) uint8.

    Returns:
        Features equal to the model's own `get_video_features`.
    """
    model = loaded.model
    pixels = loaded.processor.video_processor(list(frames), return_tensors="pt")["pixel_values_videos"][0]
    parts = []
    for chunk in pixels.split(FRAMES_AT_ONCE):
        layer = model.config.vision_feature_layer
        states = model.model.vision_tower(
            chunk.to(model.device, model.dtype), output_hidden_states=True, return_dict=True
        ).hidden_states
        chosen = states[layer] if isinstance(layer, int) else torch.cat([states[each] for each in layer], dim=-1)
        parts.append(chosen[:, 1:] if model.config.vision_feature_select_strategy == "default" else chosen)
    patches = torch.cat(parts)
    side = round(patches.shape[1] ** 0.5)
    features = project(model, patches, int(model.config.spatial_pool_stride))
    return EncodedVideo(patches, side, features, round(features.shape[1] ** 0.5), pixels)


@torch.no_grad()
def project(model: Any, patches: Tensor, stride: int) -> Tensor:
    """Pools and projects patch features as the model does, at a stride of choice.

    Args:
        model: The model.
        patches: (F, P * P, C).
        stride: Cells of stride x stride patches are averaged (or max-pooled, as the model is configured); must divide P.

    Returns:
        (F, (P / stride)^2, D).

    Raises:
        ConfigError: If the stride does not divide the grid, or the model's pooling is learnt for one stride.
    """
    side = round(patches.shape[1] ** 0.5)
    own = int(model.config.spatial_pool_stride)
    if stride == own:
        pooled = model.model.vision_resampler(patches)
    else:
        if stride < 1 or side % stride:
            fitting = [each for each in range(1, side + 1) if side % each == 0]
            raise ConfigError(f"stride={stride}: expected one of {fitting}, since a frame has {side} x {side} patches")
        mode = model.config.spatial_pool_mode
        if mode not in ("average", "max"):
            raise ConfigError(f"stride={stride}: this model's pooling ({mode}) is learnt for stride {own}")
        pool = torch.nn.functional.avg_pool2d if mode == "average" else torch.nn.functional.max_pool2d
        spatial = patches.transpose(1, 2).unflatten(2, (side, side))  # (F, C, P, P)
        pooled = pool(spatial, stride).flatten(2).transpose(1, 2)
    projected: Tensor = model.model.multi_modal_projector(pooled)
    return projected
