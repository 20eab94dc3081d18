"""The feature statistics of a run: copied or estimated once, afterwards read from its folder."""

from pathlib import Path

import torch

from namm_xmodal.cli.evolve_files import STATISTICS
from namm_xmodal.cli.evolve_setup import Setup, features_of, no_statistics
from namm_xmodal.config.building import at
from namm_xmodal.config.evolve import EvolveConfig
from namm_xmodal.errors import CheckpointError, ConfigError, NammError
from namm_xmodal.fitness.statistics import statistics_of
from namm_xmodal.policies.namm import FeatureStatistics, Namm
from namm_xmodal.trust.files import MIB, refusing
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.types import OnProgress


def statistics_for(setup: Setup, folder: Path, *, saved: bool, on_progress: OnProgress) -> FeatureStatistics:
    """The run's statistics; writes nothing.

    Args:
        setup: The run.
        folder: Its folder.
        saved: Whether to use those in the folder, as when resuming; they are made again if they are missing.
        on_progress: Called as `on_progress(done, total, what)`.

    Raises:
        CheckpointError: If those to copy are missing, damaged or of other features.
        DataError: If a text is too short.
    """
    if saved and (folder / STATISTICS).exists():
        return load_statistics(folder / STATISTICS)
    return given_statistics(setup.config) or _estimate(setup, on_progress)


def given_statistics(config: EvolveConfig) -> FeatureStatistics | None:
    """The statistics that a configuration copies; None if they are to be estimated.

    Raises:
        CheckpointError: If they are missing or damaged.
        ConfigError: If they are of other features.
    """
    source = config.statistics.path or config.after
    if source is None:
        return None
    place = "statistics.path" if config.statistics.path else "after"
    try:
        statistics = load_statistics(Path(source))
    except NammError as error:
        raise at(place, error) from None
    numbers = no_statistics(config).mean.shape
    if statistics.mean.shape != numbers:
        raise ConfigError(f"{place}: {source}: statistics of {len(statistics.mean)} numbers, expected {numbers[0]}")
    return statistics


def load_statistics(path: Path) -> FeatureStatistics:
    """Reads a run's statistics: the file, the run's folder, or the folder of a saved policy.

    Raises:
        CheckpointError: If there are none, or they are damaged.
    """
    if path.is_dir() and (path / STATISTICS).exists():
        path = path / STATISTICS
    if path.suffix != ".json":
        return Namm.from_pretrained(path).statistics
    expected = "the folder of a run or of a saved policy"
    values = read_json(path, error=CheckpointError, expected=expected, most=MIB)
    with refusing(path, error=CheckpointError, expected=expected):
        mean, std = (torch.tensor(values[name], dtype=torch.float32) for name in ("mean", "std"))
        return FeatureStatistics(mean, std, str(values["source"]), int(values["count"]))


def _estimate(setup: Setup, on_progress: OnProgress) -> FeatureStatistics:
    """Reads training samples with the unpruned models."""
    config = setup.config
    objective = setup.factory(no_statistics(config)).build()
    return statistics_of(objective, config.statistics.samples, features_of(config), on_progress)
