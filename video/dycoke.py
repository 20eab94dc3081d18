"""DyCoke: drops visual tokens that are similar to the same place in the previous frame."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.video.vision import EncodedVideo
from namm_xmodal.video.visual_tokens import VisualTokens, all_tokens, keep


@dataclass(frozen=True)
class DyCoke:
    """The first stage of DyCoke (Tao et al., arXiv 2411.15024), token temporal merging: no training, no question.

    Frames come in windows of four. The second and the fourth are compared with the frame before them, the third with the
    first, place by place; of each, the tokens that are least like the earlier ones (cosine of projected features) stay. The
    first frame of a window stays whole.

    Deviations from the paper. (1) How much of the other frames stays follows from the size that is asked for. (2) If the
    first frames of all windows would already fill that size, windows are of eight frames, sixteen and so on; a frame is
    then compared with the one half a window, a quarter of a window and so on before it. (3) Kept tokens keep the positions
    that they have in the whole video. (4) The second stage, which drops cached tokens while an answer is generated, is left
    to the policies of the cache.

    Attributes:
        window: Frames of the smallest window; a power of two.
    """

    window: int = 4

    def __post_init__(self) -> None:
        """Refuses windows that cannot be halved.

        Raises:
            ConfigError: With the value given and what is expected.
        """
        whole = isinstance(self.window, int) and not isinstance(self.window, bool)
        if not whole or self.window < 2 or self.window & (self.window - 1):
            raise ConfigError(f"window={self.window!r}: expected a power of two, as 4 in the paper")

    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Keeps round(share * N) tokens, at least one."""
        whole = all_tokens(video)
        count = max(1, round(share * whole.full))
        return keep(whole, least_alike(video.features, count, self.window))


def least_alike(features: Tensor, count: int, window: int) -> Tensor:
    """(count,) indices, ascending, of the tokens that stay; if first frames are too many, an even choice of theirs.

    Args:
        features: (F, N, D) of every frame.
        count: At most F * N.
        window: Frames of the smallest window; a power of two.
    """
    frames, cells, _ = features.shape
    while window < frames and -(-frames // window) * cells >= count:
        window *= 2
    firsts = torch.arange(0, frames, window)
    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    others = [frame for frame in range(frames) if frame % window]
    if len(firsts) * cells >= count:
        own = torch.arange(count) * len(firsts) * cells // count
        return (firsts[own // cells] * cells + own % cells).sort().values
    kept = [firsts[:, None] * cells + torch.arange(cells)]  # (firsts, N)
    # An even share of what is left for every other frame; the remainder goes to the earlier ones.
    share, more = divmod(count - len(firsts) * cells, len(others))
    for number, frame in enumerate(others):
        earlier = frame - (frame & -frame)  # its lowest bit cleared: 1 -> 0, 3 -> 2, 2 -> 0 within a window of four
        alike = (unit[frame] * unit[earlier]).sum(-1)  # (N,)
        kept.append(frame * cells + alike.argsort(stable=True)[: share + (number < more)].cpu())
    return torch.cat([each.flatten() for each in kept]).sort().values
