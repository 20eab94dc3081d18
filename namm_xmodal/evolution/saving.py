"""Saves the answer atomically."""

from pathlib import Path

import numpy as np

from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.errors import CheckpointError, EvolutionError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.trust.archive import read_npy


def save_vector(path: Path, vector: Array) -> None:
    """Writes a float64 vector as `.npy` under another name, then renames it.

    Raises:
        EvolutionError: If the disk is full or the file cannot be written; the old file is kept.
    """
    try:
        with replacing(path) as fresh:
            np.save(fresh, np.asarray(vector, dtype=np.float64), allow_pickle=False)
    except OSError as error:
        raise EvolutionError(f"{path}: {disk_trouble(error)}; the vector before it is kept") from None


def load_vector(path: Path) -> Array:
    """Reads a vector written by `save_vector`.

    Raises:
        CheckpointError: If there is none, or it is not a finite vector.
    """
    vector = read_npy(path, error=CheckpointError, expected="the mean.npy of a run")
    if vector.ndim != 1 or vector.dtype != np.float64 or not np.isfinite(vector).all():
        raise CheckpointError(f"{path}: {vector.dtype} of shape {vector.shape}; expected a finite float64 vector")
    return np.asarray(vector, dtype=np.float64)
