"""Imports checkpoints of the published NAMM code: a flat CMA-ES mean and frozen normalisation statistics.

Such a file is a torch archive with `evolution_state`: `mean` (N,), the deployed vector, and buffers whose names start
with `stored_buffers_to_save.` and end in `_output_mean` and `_output_var` (one number per spectral channel).
"""

from pathlib import Path

from torch import Tensor

from namm_xmodal.errors import CheckpointError
from namm_xmodal.policies.namm.policy import Namm
from namm_xmodal.policies.namm.statistics import FeatureStatistics
from namm_xmodal.trust.files import MIB
from namm_xmodal.trust.torch_file import read_tensors

_CHANNELS = 17


def load_published(checkpoint: str | Path) -> Namm:
    """Reads a checkpoint without unpickling it; only the vector and the statistics are read, however large the file.

    Raises:
        CheckpointError: If the file is missing, needs code to be read, or lacks vector or statistics.
    """
    path = Path(checkpoint)
    state = read_tensors(
        path,
        error=CheckpointError,
        expected="a ckpt.pt of the published code",
        inside="evolution_state",
        wanted=lambda name: name == "mean" or name.endswith(("_output_mean", "_output_var")),
        most=64 * MIB,
    )
    vector = state.get("mean")
    if vector is None:
        raise CheckpointError(
            f"{path}: no 'mean' in evolution_state; expected a CMA-ES checkpoint of the published code"
        )
    mean, variance = (_buffer(state, ending, path) for ending in ("_output_mean", "_output_var"))
    return Namm(
        parameters=vector.float().reshape(1, -1),
        statistics=FeatureStatistics(mean, variance.clamp(min=0).sqrt(), source=f"frozen, imported from {path.name}"),
        metadata={"imported_from": path.name},
    )


def _buffer(state: dict[str, Tensor], ending: str, path: Path) -> Tensor:
    """The one statistics buffer whose name ends in `ending`, flattened."""
    found = {
        name: value
        for name, value in state.items()
        if name.endswith(ending) and "online_new" not in name and value.numel() == _CHANNELS
    }
    if len(found) != 1:
        raise CheckpointError(
            f"{path}: {len(found)} buffers of {_CHANNELS} numbers end in {ending!r}; expected 1 "
            "(a checkpoint saved before its statistics were frozen has none)"
        )
    return next(iter(found.values())).float().flatten()
