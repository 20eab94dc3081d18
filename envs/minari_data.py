"""Minari datasets: local or remote, any version, read into and written from `Trajectories`."""

import re
from typing import Any

import numpy as np

from namm_xmodal.envs.trajectories import Trajectories, Trajectory
from namm_xmodal.errors import DataError, MissingDependencyError
from namm_xmodal.trust.files import refusing
from namm_xmodal.trust.hdf5 import check_hdf5
from namm_xmodal.trust.json_text import read_json

_VERSION = re.compile(r"-v\d+$")


def read_minari(name: str, *, download: bool = False) -> Trajectories:
    """Reads a dataset; a name without its version stands for the highest one.

    Minari looks for local datasets where `MINARI_DATASETS_PATH` says.

    Args:
        name: For example mujoco/hopper/medium-v0, or mujoco/hopper/medium.
        download: Whether to look for it on Minari's server if it is not on this machine.

    Raises:
        DataError: If there is none, or it is not of vectors.
        MissingDependencyError: If minari is not installed.
    """
    minari = _minari()
    from minari.storage.datasets_root_dir import get_dataset_path

    found = name if _VERSION.search(name) else _highest(minari, name, download)
    try:
        if download and not (get_dataset_path(found) / "data").exists():
            minari.download_dataset(found)
        _check(found, data=True)
        dataset = minari.load_dataset(found)
    except (FileNotFoundError, ValueError, OSError, KeyError) as error:
        known = ", ".join(sorted(minari.list_local_datasets())) or "none"
        raise DataError(
            f"Minari dataset {found}: cannot be read ({str(error).splitlines()[0]}); on this machine: {known}"
        ) from None
    episodes = []
    for each in dataset.iterate_episodes():
        if isinstance(each.observations, dict | tuple) or isinstance(each.actions, dict | tuple):
            raise DataError(f"Minari dataset {found}: observations or actions are no vectors; expected one vector each")
        actions = np.asarray(each.actions, dtype=np.float32)
        # Minari keeps the observation after the last action too: T + 1 rows for T actions.
        observations = np.asarray(each.observations, dtype=np.float32)[: len(actions)]
        rewards = np.asarray(each.rewards, dtype=np.float32)
        episodes.append(Trajectory(observations, actions, rewards, bool(each.terminations[-1])))
    metadata: dict[str, Any] = dataset.storage.metadata
    low, high = metadata.get("ref_min_score"), metadata.get("ref_max_score")
    reference = None if low is None or high is None else (float(low), float(high))
    environment = dataset.env_spec.id if dataset.env_spec is not None else ""
    return Trajectories(tuple(episodes), environment, f"Minari {found}", reference)


def minari_reference(name: str) -> tuple[float, float]:
    """Returns that a local dataset's metadata call 0 and 100.

    Raises:
        DataError: If it is not on this machine, or names none.
    """
    minari = _minari()
    try:
        _check(name)
        metadata: dict[str, Any] = minari.load_dataset(name).storage.metadata
        return float(metadata["ref_min_score"]), float(metadata["ref_max_score"])
    except (FileNotFoundError, ValueError, OSError):
        raise DataError(f"Minari dataset {name}: not on this machine; fetch it with `minari download {name}`") from None
    except (KeyError, TypeError):
        raise DataError(f"Minari dataset {name}: names no reference returns; use d4rl or measured scores") from None


def has_minari(name: str) -> bool:
    """Whether a dataset, named with its version, is on this machine."""
    return name in _minari().list_local_datasets()


def write_minari(
    name: str, data: Trajectories, *, description: str, reference: tuple[float, float] | None = None
) -> None:
    """Writes a dataset where Minari looks for local ones.

    The observation after an episode's last action is not part of `Trajectories`; the last one stands in for it.

    Args:
        name: With version, for example local/hopper/medium-v0.
        data: What to write, observations in float32.
        description: How it was made.
        reference: Returns that scores call 0 and 100.

    Raises:
        DataError: If there is one of that name already, or the disk refuses.
        MissingDependencyError: If minari is not installed.
    """
    minari = _minari()
    from gymnasium import spaces
    from minari.data_collector import EpisodeBuffer

    buffers = []
    for number, each in enumerate(data.episodes):
        ends = [False] * (len(each) - 1)
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=[*each.observations, each.observations[-1]],
                actions=list(each.actions),
                rewards=each.rewards.tolist(),
                terminations=[*ends, each.terminated],
                truncations=[*ends, not each.terminated],
            )
        )
    low, high = reference if reference is not None else (None, None)
    try:
        minari.create_dataset_from_buffers(
            name,
            buffers,
            env=data.environment or None,
            observation_space=spaces.Box(-np.inf, np.inf, (data.state_dim,), np.float32),
            ref_min_score=low,
            ref_max_score=high,
            description=description,
            algorithm_name=data.source,
            author="namm-xmodal",
            author_email="",
            code_permalink="",
        )
    except (ValueError, OSError) as error:
        raise DataError(f"Minari dataset {name}: cannot be written ({str(error).splitlines()[0]})") from None


def _check(name: str, *, data: bool = False) -> None:
    """Refuses a dataset that Minari cannot read without running what its metadata name, and one that unpacks to too much.

    Args:
        name: With its version; nothing is said of one that is not here.
        data: Whether its arrays are about to be read.

    Raises:
        DataError: With what is wrong.
    """
    from minari.storage.datasets_root_dir import get_dataset_path

    if ".." in name.split("/") or name.startswith("/"):
        raise DataError(f"Minari dataset {name}: expected a name such as mujoco/hopper/medium-v0")
    folder = get_dataset_path(name) / "data"
    if not folder.exists():
        return
    expected = "the metadata of a Minari dataset"
    metadata = read_json(folder / "metadata.json", error=DataError, expected=expected)
    with refusing(folder, error=DataError, expected=expected):
        # Without spaces Minari makes the environment of `env_spec`, whose entry point may be any function of any module.
        if not all(isinstance(metadata[f"{kind}_space"], str) for kind in ("observation", "action")):
            raise ValueError("its spaces are no text")
        if metadata["data_format"] != "hdf5":
            raise ValueError(f"its format is {metadata['data_format']!r}, hdf5 can be read")
        if not 0 < metadata["total_episodes"] <= 10_000_000:
            raise ValueError(f"it has {metadata['total_episodes']:,} episodes")
    if data:
        check_hdf5(folder / "main_data.hdf5", error=DataError, expected="the arrays of a Minari dataset")


def _highest(minari: Any, name: str, download: bool) -> str:
    """The name with its highest version."""
    versions = [each for each in minari.list_local_datasets() if _VERSION.sub("", each) == name]
    if not versions and download:
        try:
            versions = [each for each in minari.list_remote_datasets() if _VERSION.sub("", each) == name]
        except Exception as error:  # whatever the network does
            raise DataError(f"Minari dataset {name}: the server cannot be asked ({type(error).__name__})") from None
    if not versions:
        known = ", ".join(sorted(minari.list_local_datasets())) or "none"
        raise DataError(f"Minari dataset {name}: no version of it on this machine; there are: {known}")
    best: str = max(versions, key=lambda each: int(each.rsplit("-v", 1)[1]))
    return best


def _minari() -> Any:
    try:
        import minari
    except ImportError:
        raise MissingDependencyError("Minari datasets", "rl") from None
    return minari
