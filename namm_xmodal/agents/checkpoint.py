"""Decision Transformers by name: shipped with the package, in a folder, or on the hub."""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from namm_xmodal.agents.body import Body, StateStatistics
from namm_xmodal.agents.facts import KEY, Facts, published_facts
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replacing_folder
from namm_xmodal.envs.published import PREFIX, published_name, published_names
from namm_xmodal.errors import CheckpointError, ConfigError

SHIPPED = Path(__file__).parent / "shipped"
_CONFIG = "config.json"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded Decision Transformer.

    Attributes:
        label: Its name in results, for example hopper-long/seed-0.
        body: Model and statistics of its states.
        facts: How to roll it out; None if the checkpoint does not say.
    """

    label: str
    body: Body
    facts: Facts | None


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
    members = {int(path.name[5:]): path for path in folder.glob("seed-*") if path.name[5:].isdigit()}
    if members:
        chosen = sorted(members) if seeds is None else list(seeds)
        absent = [seed for seed in chosen if seed not in members]
        if absent:
            raise CheckpointError(f"{name}: no seed {absent[0]} in it; expected some of {sorted(members)}")
        return {f"{folder.name}/seed-{seed}": str(members[seed]) for seed in chosen}
    if (folder / _CONFIG).is_file():
        return {name.rstrip("/").rsplit("/", 1)[-1]: str(folder)}
    if folder.exists():
        raise CheckpointError(f"{name}: neither {_CONFIG} nor seed-0 in it; expected a folder with a saved model")
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
        CheckpointError: If it cannot be loaded or is no Decision Transformer.
        ConfigError: If the statistics do not fit the model.
    """
    from transformers import DecisionTransformerConfig, DecisionTransformerModel

    try:
        with _quiet_loading():
            config = DecisionTransformerConfig.from_pretrained(place)
            if config.model_type != "decision_transformer" or "state_dim" not in config.to_dict():
                raise CheckpointError(f"{place}: a model of type {config.model_type}, expected a decision_transformer")
            model, report = DecisionTransformerModel.from_pretrained(place, dtype=dtype, output_loading_info=True)
    except CheckpointError:
        raise
    except Exception as error:  # transformers, hub and safetensors raise many kinds
        raise CheckpointError(f"{place}: cannot be loaded ({_first_line(error)})") from None
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointError(
            f"{place}: weights lack {len(missing)} tensors ({missing[0]}, ...); fetch or save it again"
        )
    facts = _facts(config, place)
    found = statistics or (facts.statistics if facts is not None else None)
    return Checkpoint(label, Body(model.eval(), found), facts)


def read_statistics(path: Path) -> StateStatistics:
    """Reads `{"mean": [...], "std": [...]}`.

    Raises:
        ConfigError: If the file does not hold it.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return StateStatistics(np.array(values["mean"], dtype=float), np.array(values["std"], dtype=float))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: no state statistics in it ({type(error).__name__}); expected JSON with lists mean and std"
        ) from None


def save_checkpoint(model: Any, facts: Facts, folder: Path) -> None:
    """Writes `config.json` and `model.safetensors` in float16; the folder appears whole or not at all.

    Raises:
        CheckpointError: If it cannot be written.
    """
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.config.update({KEY: facts.to_json()})
    try:
        with replacing_folder(folder) as fresh:
            model.half().save_pretrained(fresh)
            for path in fresh.iterdir():
                path.chmod(0o644)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: cannot save the model; {disk_trouble(error, 'save it again')}") from None
    model.float().load_state_dict(state)


def _facts(config: Any, place: str) -> Facts | None:
    own = getattr(config, KEY, None)
    if own is not None:
        return Facts.from_json(own, f"{place}/{_CONFIG}")
    name = published_name(place)
    return published_facts(name) if name is not None else None


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


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
