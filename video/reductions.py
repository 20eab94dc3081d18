"""Pre-LLM token-reduction baselines, compared with cache policies at equal size."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from namm_xmodal.video.divprune import DivPrune
from namm_xmodal.video.dycoke import DyCoke
from namm_xmodal.video.vision import EncodedVideo, project
from namm_xmodal.video.visionzip import VisionZip
from namm_xmodal.video.visual_tokens import VisualTokens, all_tokens, keep, places


@dataclass(frozen=True)
class FewerFrames:
    """Shows fewer frames, evenly spread, as if the video had been sampled more coarsely."""

    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Keeps round(share * F) frames, at least one."""
        whole, frames = all_tokens(video), video.features.shape[0]
        count = max(1, round(share * frames))
        chosen = np.linspace(0, frames - 1, count).round().astype(int) if count > 1 else np.array([frames // 2])
        kept = torch.isin(whole.places[:, 0], torch.from_numpy(chosen))
        return replace(whole, features=whole.features[kept], places=whole.places[kept])


@dataclass(frozen=True)
class PoolingStride:
    """Pools patches more coarsely: the stride whose token count is nearest to the share asked for."""

    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Each stride gives the count it gives; results name the share that was really kept."""
        frames, side, grid = video.features.shape[0], video.side, video.grid
        strides = [each for each in range(2, side + 1) if side % each == 0]
        stride = min(strides, key=lambda each: abs((side // each) ** 2 - share * grid**2))
        features = project(model, video.patches, stride)
        return VisualTokens(features.flatten(0, 1), places(frames, side // stride), None, frames * grid**2)


@dataclass(frozen=True)
class UniformDrop:
    """Drops tokens at even distances along the video's tokens; the others keep their positions."""

    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Keeps round(share * N) tokens."""
        whole = all_tokens(video)
        count = max(1, round(share * whole.full))
        return keep(whole, torch.from_numpy(np.floor((np.arange(count) + 0.5) * whole.full / count).astype(np.int64)))


@dataclass(frozen=True)
class RandomDrop:
    """Drops tokens at random; the others keep their positions.

    Attributes:
        seed: Of the draw, which is the same for all videos of a length.
    """

    seed: int = 0

    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Keeps round(share * N) tokens."""
        whole = all_tokens(video)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(whole.full, generator=generator)
        return keep(whole, order[: max(1, round(share * whole.full))].sort().values)


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "fewer_frames": FewerFrames,
    "pooling_stride": PoolingStride,
    "uniform_drop": UniformDrop,
    "random_drop": RandomDrop,
    "divprune": DivPrune,
    "dycoke": DyCoke,
    "visionzip": VisionZip,
}
