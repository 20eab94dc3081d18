"""Trains Decision Transformers on an existing dataset: an HDF5 file of D4RL, or a Minari dataset."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from namm_xmodal.agents.checkpoint_metadata import VERSIONS
from namm_xmodal.envs.d4rl_hdf5 import read_d4rl
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.minari_data import read_minari
from namm_xmodal.envs.normalise import of_dataset
from namm_xmodal.envs.spaces import size_of
from namm_xmodal.envs.trajectories import Trajectories
from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.training.decision_transformer.families import write_card
from namm_xmodal.training.decision_transformer.journal import StageJournal
from namm_xmodal.training.decision_transformer.locomotion import describe_tiers, train_on
from namm_xmodal.training.decision_transformer.recipes import LOCOMOTION
from namm_xmodal.types import OnProgress


def read_dataset(name: str, environment: str, *, timeouts: bool = True) -> Trajectories:
    """A dataset of one of the bodies that there are recipes for.

    Args:
        name: A file with the ending .hdf5 or .h5, or the name of a Minari dataset.
        environment: hopper, halfcheetah or walker2d. D4RL's files do not name theirs; -v4 is nearest to it.
        timeouts: See `read_d4rl`.

    Raises:
        ConfigError: If there is no recipe for the environment, or the data have other sizes than it.
        DataError: If the dataset cannot be read, or is of another environment.
    """
    if environment not in VERSIONS:
        raise ConfigError(f"--env {environment}: expected one of {', '.join(VERSIONS)} with --dataset")
    if name.endswith((".hdf5", ".h5")):
        data = read_d4rl(Path(name).expanduser(), VERSIONS[environment], timeouts=timeouts)
    else:
        data = read_minari(name)
    found = data.environment or LOCOMOTION[environment][0].environment
    if found.split("-")[0].lower() != environment:
        raise DataError(f"{data.source}: has data of {found}, expected {environment}; check --env")
    world = environment_maker(found)()
    sizes = size_of(world.observation_space, "states"), size_of(world.action_space, "actions")
    world.close()
    if sizes != (data.state_dim, data.act_dim):
        raise ConfigError(
            f"{data.source}: states of {data.state_dim} and actions of {data.act_dim} numbers, {found} has {sizes[0]} "
            f"and {sizes[1]}; check --env"
        )
    return replace(data, environment=found)


def prepare_dataset(
    environment: str,
    data: Trajectories,
    windows: Sequence[int],
    seeds: Sequence[int],
    folder: Path,
    on_progress: OnProgress,
    updates: int | None = None,
) -> list[Path]:
    """Models of one environment, trained on one dataset; returns the families' folders.

    Args:
        environment: hopper, halfcheetah or walker2d.
        data: From `read_dataset`. The target is the 90th percentile of its returns.
        windows: K of the families to train: 20, 200 or both.
        seeds: One model each.
        folder: Where everything goes, and what is there already is not made again.
        on_progress: Called as `on_progress(done, total, what)`.
        updates: Instead of the recipe's.

    Raises:
        DataError: If the folder holds models of another dataset with the same name.
    """
    journal = StageJournal(folder / "journal.jsonl")
    label = re.sub(
        r"[^A-Za-z0-9_]+", "-", data.source.removeprefix("Minari ").removesuffix(".hdf5").removesuffix(".h5")
    )
    digest = _digest(data)
    known = journal.result(f"data/{label}")
    if known is not None and known["digest"] != digest:
        raise DataError(f"{folder}: holds models trained on other data named {label}; choose another --output")
    if known is None:
        journal.add(f"data/{label}", {"digest": digest, "source": data.source})
    made = []
    for recipe in (each for each in LOCOMOTION[environment] if each.steps in windows):
        recipe = replace(recipe.shortened(updates), name=f"{recipe.name}-{label}", environment=data.environment)
        metadata = train_on(recipe, {recipe.target_tier: data}, seeds, folder, journal, on_progress)
        described = describe_tiers({recipe.target_tier: data}, data.environment)[recipe.target_tier]
        if data.reference is not None:
            described["dataset_mean"] = round(float(of_dataset(data)(data.returns()).mean()), 1)
        described["about"] = "the target is the 90th percentile of these returns"
        write_card(recipe, metadata, {label: described}, folder, journal)
        made.append(folder / recipe.name)
    return made


def _digest(data: Trajectories) -> str:
    """Twelve hex digits over all steps."""
    digest = hashlib.sha256()
    for each in data.episodes:
        for part in (each.observations, each.actions, each.rewards):
            digest.update(part.tobytes())
        digest.update(bytes([each.terminated]))
    return digest.hexdigest()[:12]
