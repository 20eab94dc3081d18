"""What a run of `namm-xmodal evolve` keeps in its folder beside the journal: configuration, statistics, policy.

All of it follows from the journal, and is brought up to it whenever a run is resumed.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from namm_xmodal.cli.evolve_setup import Setup
from namm_xmodal.config.evolve_tasks import held_out_evaluation
from namm_xmodal.config.save import to_mapping, to_yaml
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.arrays import Array, digest
from namm_xmodal.evolution.events import Event, GenerationFinished, Started
from namm_xmodal.evolution.generation import Generation
from namm_xmodal.evolution.record import ANSWER
from namm_xmodal.evolution.run import RunResult
from namm_xmodal.evolution.saving import load_vector, save_vector
from namm_xmodal.evolution.versions import software_versions
from namm_xmodal.fitness import make_template
from namm_xmodal.policies.namm import FeatureStatistics, Namm
from namm_xmodal.trust.files import MIB
from namm_xmodal.trust.json_text import read_json

CONFIG = "config.yaml"
STATISTICS = "statistics.json"
POLICY = "policy"
START = "start.npy"
HELD_OUT = "held_out.yaml"
VALIDATION = "validation.json"


class Files:
    """A listener that keeps the folder up to date: `policy/` is always the answer so far."""

    def __init__(self, setup: Setup, statistics: FeatureStatistics, folder: Path) -> None:
        """Remembers what goes into the policy.

        Args:
            setup: The run.
            statistics: Its feature statistics.
            folder: Its folder.
        """
        self._setup = setup
        self._statistics = statistics
        self._folder = folder
        self._template: Namm = make_template(setup.template(statistics))
        self._digest = setup.settings(statistics).config

    def __call__(self, event: Event) -> None:
        """Writes what an event changes. The journal is checked before, so files of another run are never overwritten."""
        if isinstance(event, Started):
            save_config(self._setup, self._statistics, self._folder)
            mean = load_vector(self._folder / ANSWER)
            if event.past:
                self._save(mean, event.past[-1])
            else:
                save_vector(self._folder / START, mean)
        elif isinstance(event, GenerationFinished):
            self._save(event.mean, event.record)

    def settle(self, result: RunResult) -> None:
        """Brings the policy up to the last generation, even after Ctrl-C; otherwise the next session does."""
        if result.generations and digest(result.mean) == result.generations[-1].mean:
            self._save(result.mean, result.generations[-1])

    def _save(self, mean: Array, record: Generation) -> None:
        if judged(self._folder)[0] not in ("", record.mean):  # of an answer that is no longer the run's
            guarded(self._folder / VALIDATION, (self._folder / VALIDATION).unlink)
        vector = torch.from_numpy(np.asarray(mean, dtype=np.float32))[None]
        replace(self._template, parameters=vector, metadata=self._metadata(record)).save_pretrained(
            self._folder / POLICY
        )

    def _metadata(self, record: Generation) -> dict[str, Any]:
        config = to_mapping(self._setup.config)
        kept = (
            "models",
            "tasks",
            "update_every",
            "protect_first",
            "protect_recent",
            "samples",
            "pool",
            "seed",
            "dtype",
            *(["agree"] if config["agree"] else []),
        )
        return {
            "made_by": "namm-xmodal evolve",
            "run": self._digest,
            "generation": record.generation,
            "trained_on": {key: config[key] for key in kept},
            "held_out": config["held_out"],
            "strategy": self._setup.strategy.spec,
            "size_pressure": config["size_pressure"],
            "start": config["start"],
            "after": config["after"],
            "population_mean": {"score": record.score, "kept": record.kept, "size_weight": record.weight},
            "collapsed": record.collapsed,
            "versions": software_versions(),
        }


def save_config(setup: Setup, statistics: FeatureStatistics, folder: Path) -> None:
    """Writes statistics, the resolved configuration, and the file that evaluates the run on its held-out tasks."""
    save_statistics(statistics, folder / STATISTICS)
    write_whole(folder / CONFIG, to_yaml(setup.config))
    evaluation = held_out_evaluation(setup.config, str(folder / POLICY))
    if evaluation is not None:
        content = yaml.safe_dump(evaluation, sort_keys=False, allow_unicode=True, width=120)
        head = (
            f"# Evaluates {folder / POLICY} on tasks that it was not trained on.\n#\n#   namm-xmodal eval "
            f"{folder / HELD_OUT}\n"
        )
        write_whole(folder / HELD_OUT, head + content)
    else:
        guarded(folder / HELD_OUT, lambda: (folder / HELD_OUT).unlink(missing_ok=True))


def save_statistics(statistics: FeatureStatistics, path: Path) -> None:
    """Writes them atomically; float32 numbers keep all their bits."""
    values = {
        "mean": statistics.mean.double().tolist(),
        "std": statistics.std.double().tolist(),
        "source": statistics.source,
        "count": statistics.count,
    }
    write_whole(path, json.dumps(values, indent=1) + "\n")


def judged(folder: Path) -> tuple[str, int]:
    """Digest of the answer that `validation.json` is about, and its number of samples; empty and 0 if none says so."""
    try:
        values = read_json(folder / VALIDATION, error=EvolutionError, expected="a comparison", most=MIB)
        return str(values["answer"]), int(values["fitness"]["n"])
    except (EvolutionError, KeyError, TypeError, ValueError):
        return "", 0


def write_whole(path: Path, text: str) -> None:
    """Replaces a file atomically.

    Raises:
        EvolutionError: If the disk is full or the file cannot be written; the old file is kept.
    """
    guarded(path, lambda: replace_text(path, text))


def guarded(path: Path, write: Callable[[], object]) -> None:
    """Runs `write`; trouble with the disk becomes one line."""
    try:
        write()
    except OSError as error:
        raise EvolutionError(f"{path}: cannot be written: {disk_trouble(error)}") from None
