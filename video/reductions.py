"""Ways to spend fewer visual tokens before the cache sees any: what every cache policy has to beat at equal size."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from namm_xmodal.video.vision import EncodedVideo, project


@dataclass(frozen=True)
class VisualTokens:
    """The visual tokens that a model reads.

    Attributes:
        features: (N, D), in order of frame, row and column.
        places: (N, 3) frame, row and column of each.
        positions: (N,) which place among the F * g^2 tokens of a whole video each takes in the text; None to close up.
        full: Tokens of the whole video.
    """

    features: Tensor
    places: Tensor
    positions: Tensor | None
    full: int


def all_tokens(video: EncodedVideo) -> VisualTokens:
    """Every token."""
    frames, cells, _ = video.features.shape
    return VisualTokens(video.features.flatten(0, 1), _places(frames, video.grid), None, frames * cells)


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
        places = _places(frames, side // stride)
        return VisualTokens(features.flatten(0, 1), places, None, frames * grid**2)


@dataclass(frozen=True)
class UniformDrop:
    """Drops tokens at even distances along the video's tokens; the others keep their positions."""

    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Keeps round(share * N) tokens."""
        whole = all_tokens(video)
        count = max(1, round(share * whole.full))
        return _keep(whole, torch.from_numpy(np.floor((np.arange(count) + 0.5) * whole.full / count).astype(np.int64)))


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
        return _keep(whole, order[: max(1, round(share * whole.full))].sort().values)


@dataclass(frozen=True)
class DivPrune:
    """DivPrune (Alvar et al., arXiv 2503.02175): the subset whose smallest mutual distance is largest, greedily.

    Distance is one minus the cosine of projected features. The first token is the one farthest from its nearest neighbour,
    as in the paper; every further one is farthest from those chosen. No training, no question, no attention.

    Attributes:
        positions: `original`: kept tokens keep the positions of the whole video. `closed`: they close up, as published.
    """

    positions: Literal["original", "closed"] = "original"

    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Keeps round(share * N) tokens."""
        whole = all_tokens(video)
        count = max(1, round(share * whole.full))
        chosen = max_min_diverse(whole.features, count)
        kept = _keep(whole, chosen.sort().values)
        return kept if self.positions == "original" else replace(kept, positions=None)


def max_min_diverse(features: Tensor, count: int) -> Tensor:
    """(count,) indices of the greedy solution of the max-min diversity problem under cosine distance.

    Args:
        features: (N, D).
        count: At most N.
    """
    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    distance = 1 - unit @ unit.T  # (N, N)
    first = distance.masked_fill(torch.eye(len(unit), dtype=torch.bool, device=unit.device), torch.inf).amin(1).argmax()
    chosen = [int(first)]
    nearest = distance[first].clone()
    nearest[first] = -torch.inf
    while len(chosen) < min(count, len(unit)):
        best = int(nearest.argmax())
        chosen.append(best)
        nearest = torch.minimum(nearest, distance[best])
        nearest[chosen] = -torch.inf
    return torch.tensor(chosen, device=features.device)


def _keep(whole: VisualTokens, indices: Tensor) -> VisualTokens:
    return replace(
        whole,
        features=whole.features[indices.to(whole.features.device)],
        places=whole.places[indices.cpu()],
        positions=indices.cpu(),
    )


def _places(frames: int, grid: int) -> Tensor:
    """(F * g^2, 3) frame, row, column."""
    return torch.cartesian_prod(torch.arange(frames), torch.arange(grid), torch.arange(grid)).view(-1, 3)


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "fewer_frames": FewerFrames,
    "pooling_stride": PoolingStride,
    "uniform_drop": UniformDrop,
    "random_drop": RandomDrop,
    "divprune": DivPrune,
}
