"""Decision Transformers by name: shipped with the package, in a folder, or on the hub."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from namm_xmodal.agents.agent_model import AgentModel, StateStatistics
from namm_xmodal.agents.checkpoint_metadata import KEY, CheckpointMetadata, published_metadata
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replacing_folder
from namm_xmodal.envs.published import PREFIX, published_name, published_names
from namm_xmodal.errors import CheckpointError, ConfigError, NammError
from namm_xmodal.trust.files import MIB, reason_of, refusing
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.trust.model_folder import ModelFolder, open_model_folder

SHIPPED = Path(__file__).parent / "shipped"
_CONFIG = "config.json"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded Decision Transformer.

    Attributes:
        label: Its name in results, for example hopper-long/seed-0.
        agent_model: Model and statistics of its states.
        metadata: How to roll it out; None if the checkpoint does not say.
    """

    label: str
    agent_model: AgentModel
    metadata: CheckpointMetadata | None


def shipped_families() -> list[str]:
    """Names of the families of Decision Transformers that come with the package."""
    return sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) if SHIPPED.is_dir() else []


def find_checkpoints(name: str, seeds: Sequence[int] | None = None) -> dict[str, str]:
    """Labels and places (folders or hub ids) of the models that a name stands for.

    Args:
        name: A shipped family (hopper-long), a folder with one model or with `seed-0`, `seed-1`, ..., or a hub id.
        seeds: Which seeds of a family; all if None.

    Raises:
        CheckpointError: If there is no such model or seed.
    """
    families = shipped_families()
    folder = SHIPPED / name if name in families else Path(name).expanduser()
    members = {int(path.name[5:]): path for path in folder.glob("seed-*") if re.fullmatch(r"[0-9]{1,9}", path.name[5:])}
    if members:
        chosen = sorted(members) if seeds is None else list(seeds)
        absent = [seed for seed in chosen if seed not in members]
        if absent:
            raise CheckpointError(f"{name}: has no seed {absent[0]}; set model_seeds to some of {sorted(members)}")
        return {f"{folder.name}/seed-{seed}": str(members[seed]) for seed in chosen}
    if (folder / _CONFIG).is_file():
        return {name.rstrip("/").rsplit("/", 1)[-1]: str(folder)}
    if folder.exists():
        raise CheckpointError(f"{name}: contains neither {_CONFIG} nor seed-0; expected a folder with a saved model")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        published = ", ".join(f"edbeeching/{PREFIX}{each}" for each in published_names()[:1])
        raise CheckpointError(
            f"{name}: no such folder, and not a hub id; shipped: {', '.join(families) or 'none'}; on the hub: {published} "
            f"and {len(published_names()) - 1} others"
        )
    return {name.rsplit("/", 1)[-1]: name}


def load_checkpoint(
    label: str, place: str, *, dtype: torch.dtype = torch.float64, statistics: StateStatistics | None = None
) -> Checkpoint:
    """Loads one model; weights are read as tensors only, never unpickled.

    Args:
        label: Its name in results.
        place: A folder or hub id, as `find_checkpoints` names it.
        dtype: Precision to compute in.
        statistics: Of its states; instead of those that the checkpoint brings.

    Raises:
        CheckpointError: If it cannot be loaded or is not a Decision Transformer.
        ConfigError: If the statistics do not fit the model.
    """
    from transformers import DecisionTransformerModel

    folder = _open(place)
    metadata = _metadata(folder.config, place)
    try:
        with _quiet_loading():
            model, missing = folder.model(DecisionTransformerModel, dtype)
    except NammError:
        raise
    except Exception as error:  # transformers, hub and safetensors raise many kinds
        raise CheckpointError(f"{place}: cannot be loaded ({reason_of(error)})") from None
    if missing:
        raise CheckpointError(
            f"{place}: weights lack {len(missing)} tensors ({missing[0]}, ...); download or save it again"
        )
    found = statistics or (metadata.statistics if metadata is not None else None)
    return Checkpoint(label, AgentModel(model.eval(), found), metadata)


def read_configuration(place: str, *, local: bool = False) -> tuple[Any, CheckpointMetadata | None] | None:
    """Reads a model's configuration and metadata without its weights.

    Args:
        place: A folder or hub id, as `find_checkpoints` names it.
        local: Give None for a model that would have to be fetched, instead of fetching it.

    Raises:
        CheckpointError: If it cannot be read or is not a Decision Transformer.
    """
    try:
        folder = _open(place, local=local)
    except CheckpointError as error:
        if local and isinstance(error.__cause__, OSError) and not Path(place).is_dir():
            return None
        raise
    return folder.config, _metadata(folder.config, place)


def read_statistics(path: Path) -> StateStatistics:
    """Reads `{"mean": [...], "std": [...]}`.

    Raises:
        ConfigError: If the file does not hold it.
    """
    expected = "state statistics: JSON with lists mean and std"
    values = read_json(path, error=ConfigError, expected=expected, most=MIB)
    with refusing(path, error=ConfigError, expected=expected):
        return StateStatistics(np.array(values["mean"], dtype=float), np.array(values["std"], dtype=float))


def save_checkpoint(model: Any, metadata: CheckpointMetadata, folder: Path) -> None:
    """Writes `config.json` and `model.safetensors` in float16; the folder is replaced atomically.

    Raises:
        CheckpointError: If it cannot be written.
    """
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.config.update({KEY: metadata.to_json()})
    try:
        with replacing_folder(folder) as fresh, _quiet_loading():
            model.half().save_pretrained(fresh)
            for path in fresh.iterdir():
                path.chmod(0o644)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: cannot save the model; {disk_trouble(error, 'save it again')}") from None
    model.float().load_state_dict(state)


def _open(place: str, *, local: bool = False) -> ModelFolder:
    try:
        with _quiet_loading():
            folder = open_model_folder(place, error=CheckpointError, local=local)
    except NammError:
        raise
    except Exception as error:  # transformers and the hub raise many kinds
        raise CheckpointError(f"{place}: cannot be loaded ({reason_of(error)})") from error
    config = folder.config
    if config.model_type != "decision_transformer" or "state_dim" not in config.to_dict():
        raise CheckpointError(f"{place}: a model of type {config.model_type}, expected a decision_transformer")
    return folder


def _metadata(config: Any, place: str) -> CheckpointMetadata | None:
    own = getattr(config, KEY, None)
    if own is not None:
        return CheckpointMetadata.from_json(own, f"{place}/{_CONFIG}")
    name = published_name(place)
    return published_metadata(name) if name is not None else None


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """No progress bars, no advice on attention-mask buffers of checkpoints written by older versions."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()
