"""Frames whose evicted patches are dark."""

import numpy as np
from numpy.typing import NDArray

DIMMED = 0.18
"""Brightness of a patch that no head holds any more."""


def dim(frame: NDArray[np.uint8], kept: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A frame whose cells are as bright as the share of heads that hold them; the rest is dark grey.

    Args:
        frame: (height, width, 3).
        kept: (g, g) in [0, 1].
    """
    height, width = frame.shape[:2]
    rows = np.minimum(np.arange(height) * len(kept) // height, len(kept) - 1)
    columns = np.minimum(np.arange(width) * len(kept) // width, len(kept) - 1)
    share = kept[rows][:, columns][..., None]  # (height, width, 1)
    grey = frame.mean(-1, keepdims=True) * DIMMED + 12
    mixed: NDArray[np.uint8] = (frame * share + grey * (1 - share)).round().clip(0, 255).astype(np.uint8)
    return mixed
