"""Pixels as the small model's processor scales them, for whole batches of pictures that have its size already."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_pixels(pictures: NDArray[np.uint8]) -> Tensor:
    """(..., H, W, 3) uint8 -> (..., 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(pictures).movedim(-1, -3).float().div_(127.5).sub_(1.0)
