"""The events of a run, for listeners such as the live table, plots and trackers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.generation import Generation


@dataclass(frozen=True)
class Started:
    """The run is ready. `past` holds the generations that an earlier session finished."""

    folder: Path
    generations: int
    past: tuple[Generation, ...] = ()


@dataclass(frozen=True)
class ShardFinished:
    """One more shard of a generation is done and on disk; `done` of `total`."""

    generation: int
    done: int
    total: int
    label: str
    worker: str


@dataclass(frozen=True)
class GenerationFinished:
    """A generation is done and on disk; `mean` is the answer after it."""

    record: Generation
    mean: Array


@dataclass(frozen=True)
class Notice:
    """A notice for the user, one line."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The run ended or was interrupted."""

    generations: int
    interrupted: bool


Event = Started | ShardFinished | GenerationFinished | Notice | Finished
Listener = Callable[[Event], None]
