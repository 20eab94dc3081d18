"""D4RL's HDF5 files, read by h5py alone."""

from pathlib import Path
from typing import Any

import numpy as np

from namm_xmodal.envs.trajectories import Trajectories, as_flags, as_rewards, as_vectors, split_episodes
from namm_xmodal.errors import DataError
from namm_xmodal.trust.hdf5 import open_hdf5

_NEEDED = ("observations", "actions", "rewards", "terminals")


def read_d4rl(path: str | Path, environment: str = "", *, timeouts: bool = True) -> Trajectories:
    """Reads a file in D4RL's layout: `observations`, `actions`, `rewards`, `terminals`, `timeouts`, one row per step.

    Args:
        path: The file.
        environment: Gymnasium id; D4RL's v2 files come from the -v2 environments, to which -v4 is nearest.
        timeouts: Refuse a file without `timeouts`; if false, episodes are split on terminals only.

    Raises:
        DataError: If the file is missing, damaged, or lacks a part, or if its observations or actions are discrete,
            pictures or groups.
        MissingDependencyError: If h5py is not installed.
    """
    path = Path(path)
    with open_hdf5(path, error=DataError, expected="a whole HDF5 file of D4RL, such as hopper_medium-v2.hdf5") as file:
        missing = [name for name in _NEEDED if name not in file]
        if missing:
            raise DataError(f"{path}: lacks {', '.join(missing)}; expected D4RL's layout, one row per step")
        if "timeouts" not in file and timeouts:
            raise DataError(
                f"{path}: lacks timeouts, so episodes that ended by their time limit cannot be separated; pass "
                "timeouts=False (--no-timeouts) to split on terminals only"
            )
        parts: dict[str, Any] = {name: file.array(name) for name in (*_NEEDED, "timeouts") if name in file}
    try:
        observations, actions = (as_vectors(parts[name], name) for name in ("observations", "actions"))
        rewards, terminals = as_rewards(parts["rewards"]), as_flags(parts["terminals"], "terminals")
        ends = as_flags(parts["timeouts"], "timeouts") if "timeouts" in parts else np.zeros(len(rewards), dtype=bool)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    rows = {name: len(values) for name, values in parts.items()}
    if len(set(rows.values())) != 1:
        raise DataError(f"{path}: arrays have different lengths ({rows}); download it again")
    if not len(rewards):
        raise DataError(f"{path}: contains no steps; download it again")
    return Trajectories(tuple(split_episodes(observations, actions, rewards, terminals, ends)), environment, path.name)
