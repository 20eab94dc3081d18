"""Vectors of parameters: their type and their fingerprint."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Float64 everywhere. Dimensions: `P` members of a population, `N` parameters, `n` samples of a shard."""


def digest(array: NDArray[Any]) -> str:
    """SHA-256 over the float64 bytes of an array: equal digests are equal bits.

    Args:
        array: Any shape.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(np.ascontiguousarray(array, dtype=np.float64).tobytes()).hexdigest()
