"""Minari datasets: local or remote, any version, read into and written from `Trajectories`."""

import re
from typing import Any

import numpy as np

from namm_xmodal.envs.spaces import size_of
from namm_xmodal.envs.trajectories import Trajectories, Trajectory, as_flags, as_rewards, as_vectors
from namm_xmodal.errors import DataError, MissingDependencyError, NammError
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
        DataError: If there is none, it is damaged, or its spaces are not boxes of one vector or one number.
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
    except NammError as error:
        raise DataError(f"Minari dataset {found}: {error}") from None
    except Exception as error:  # what Minari raises where there is nothing, or metadata are damaged
        known = ", ".join(sorted(minari.list_local_datasets())) or "none"
        raise DataError(
            f"Minari dataset {found}: cannot be read ({' '.join(str(error).split())[:120]}); on this machine: {known}"
        ) from None
    try:
        size_of(dataset.observation_space, "states")
        size_of(dataset.action_space, "actions")
        episodes = tuple(_episode(each) for each in dataset.iterate_episodes())
    except NammError as error:
        raise DataError(f"Minari dataset {found}: {error}") from None
    except Exception as error:  # what h5py and Minari raise where bytes or metadata are damaged
        trouble = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise DataError(f"Minari dataset {found}: cannot be read ({trouble}); download it again") from None
    metadata: dict[str, Any] = dataset.storage.metadata
    low, high = metadata.get("ref_min_score"), metadata.get("ref_max_score")
    reference = None if low is None or high is None else (float(low), float(high))
    environment = dataset.env_spec.id if dataset.env_spec is not None else ""
    return Trajectories(episodes, environment, f"Minari {found}", reference)


def _episode(each: Any) -> Trajectory:
    """One episode. Minari keeps the observation after the last action too: T + 1 rows for T actions.

    Raises:
        DataError: If its parts are of other shapes, or there are no steps in it.
    """
    observations, actions = as_vectors(each.observations, "observations"), as_vectors(each.actions, "actions")
    rewards, ends = as_rewards(each.rewards), as_flags(each.terminations, "terminations")
    rows = len(observations) - 1, len(actions), len(rewards), len(ends)
    if len(set(rows)) != 1 or 0 in rows:
        raise DataError(
            f"episode {each.id} has {len(observations)} observations, {len(actions)} actions, {len(rewards)} rewards and "
            f"{len(ends)} terminations; expected T + 1, T, T and T"
        )
    return Trajectory(observations[:-1], actions, rewards, bool(ends[-1]))


def minari_reference(name: str) -> tuple[float, float]:
    """Returns that a local dataset's metadata call 0 and 100.

    Raises:
        DataError: If it is not on this machine, or names none.
    """
    minari = _minari()
    try:
        _check(name)
        metadata: dict[str, Any] = minari.load_dataset(name).storage.metadata
    except NammError as error:
        raise DataError(f"Minari dataset {name}: {error}") from None
    except Exception as error:  # what Minari raises where there is nothing, or metadata are damaged
        trouble = " ".join(str(error).split())[:120]
        raise DataError(
            f"Minari dataset {name}: not on this machine ({trouble}); run `minari download {name}`"
        ) from None
    try:
        return float(metadata["ref_min_score"]), float(metadata["ref_max_score"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"Minari dataset {name}: has no reference returns; use score: d4rl or measured") from None


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
            action_space=None if data.environment else spaces.Box(-np.inf, np.inf, (data.act_dim,), np.float32),
            ref_min_score=low,
            ref_max_score=high,
            description=description,
            algorithm_name=data.source,
            author="namm-xmodal",
            author_email="",
            code_permalink="",
        )
    except Exception as error:  # what Minari raises for names and environments that it does not take, and the disk
        raise DataError(f"Minari dataset {name}: cannot be written ({' '.join(str(error).split())[:160]})") from None


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
            raise ValueError("its spaces are not text")
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
            raise DataError(f"Minari dataset {name}: the server cannot be reached ({type(error).__name__})") from None
    if not versions:
        known = ", ".join(sorted(minari.list_local_datasets())) or "none"
        raise DataError(f"Minari dataset {name}: not on this machine; available: {known}")
    best: str = max(versions, key=lambda each: int(each.rsplit("-v", 1)[1]))
    return best


def _minari() -> Any:
    try:
        import minari
    except ImportError:
        raise MissingDependencyError("Minari datasets", "rl") from None
    return minari
