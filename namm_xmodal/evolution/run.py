"""The evolution loop: ask, evaluate, tell, record. Whatever stops it, the journal can take it up again."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from namm_xmodal.errors import ConfigError
from namm_xmodal.evolution.arrays import Array, digest
from namm_xmodal.evolution.ask_tell import SMALLEST_POPULATION
from namm_xmodal.evolution.evaluators.evaluator import Evaluator
from namm_xmodal.evolution.events import Event, Finished, GenerationFinished, Listener, Notice, Started
from namm_xmodal.evolution.generation import Generation
from namm_xmodal.evolution.history import replay
from namm_xmodal.evolution.journal import Journal
from namm_xmodal.evolution.record import ANSWER, has_begun, read_run
from namm_xmodal.evolution.saving import save_vector
from namm_xmodal.evolution.size_pressure import SizePressure
from namm_xmodal.evolution.step import Step
from namm_xmodal.evolution.strategy import Strategy
from namm_xmodal.evolution.tracking.tracker import Mirrors, Tracker
from namm_xmodal.evolution.versions import software_versions


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run, besides its strategy and objective.

    Attributes:
        generations: When it is finished; a finished run resumed with more goes on.
        config: Digest of everything that decides what is evaluated; a journal of another one is refused.
        seed: The objective's seed, for the record.
        pressure: Price of a kept token.
        after: Folder of the stage before: the strategy starts in the state in which that run ended.
        description: The configuration as nested JSON values, for the journal and the trackers.
    """

    generations: int
    config: str
    seed: int = 0
    pressure: SizePressure = field(default_factory=SizePressure)
    after: Path | None = None
    description: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        mean: The answer, shape (N,); also in `mean.npy` of the folder.
        generations: All finished generations of the run.
        fresh: How many of them were finished in this session.
        interrupted: Whether Ctrl-C ended it.
    """

    mean: Array
    generations: tuple[Generation, ...]
    fresh: int
    interrupted: bool


def evolve(
    strategy: Strategy,
    evaluator: Evaluator,
    settings: RunSettings,
    folder: Path,
    *,
    resume: bool = False,
    listeners: Sequence[Listener] = (),
    trackers: Sequence[Tracker] = (),
) -> RunResult:
    """Runs evolution, or resumes it.

    A run killed at any moment and resumed ends with the same bits as one that was left alone: its strategy is brought
    back by telling it again what the journal holds, and nothing in the journal is evaluated again. Ctrl-C returns.

    Args:
        strategy: New: not yet asked. On resume and after another stage, of the same spec and start.
        evaluator: Where the objective runs; closed at the end.
        settings: What the run is.
        folder: Gets `journal.jsonl` and `mean.npy`.
        resume: Whether to continue the run in `folder`.
        listeners: Called with each event, in order. What they raise stops the run; the journal is intact.
        trackers: Mirrors of the log, which cannot stop the run.

    Raises:
        ConfigError: If the population is below 4 or there is no generation to run.
        EvolutionError: If the folder's run is another one, or the disk is full.
        WorkerError: If workers keep dying.
    """
    if strategy.population < SMALLEST_POPULATION:
        raise ConfigError(f"population={strategy.population}: expected at least {SMALLEST_POPULATION}")
    if settings.generations < 1:
        raise ConfigError(f"generations={settings.generations}: expected at least 1")
    everyone = list(listeners)

    def emit(event: Event) -> None:
        for listener in everyone:
            listener(event)

    def notice(text: str) -> None:
        emit(Notice(text))

    with Journal(
        folder, _header(strategy, settings, begun=resume and has_begun(folder)), resume=resume, notice=notice
    ) as journal:
        header = journal.record.header
        identity = hashlib.sha256(f"{header['created']}{header['config']}{header['start']}".encode()).hexdigest()[:12]
        everyone.append(Mirrors(trackers, identity, header, notice))
        try:
            return _generations(strategy, evaluator, settings, folder, journal, emit)
        finally:
            evaluator.close()


def _generations(
    strategy: Strategy,
    evaluator: Evaluator,
    settings: RunSettings,
    folder: Path,
    journal: Journal,
    emit: Listener,
) -> RunResult:
    record = journal.record
    past = len(record.generations)
    interrupted = False
    mean = strategy.mean
    try:
        if record.history:
            emit(Notice(f"{folder}: replaying {len(record.history)} generations"))
        replay(strategy, record.history)
        mean = strategy.mean
        save_vector(folder / ANSWER, mean)
        emit(Started(folder, settings.generations, tuple(record.generations)))
        if past >= settings.generations:
            emit(Notice(f"{folder}: finished earlier, {past} of {settings.generations} generations"))
        step = Step(strategy, evaluator, settings.pressure, journal, emit)
        while len(record.generations) < settings.generations:
            finished = step.run()
            save_vector(folder / ANSWER, strategy.mean)
            mean = strategy.mean
            emit(GenerationFinished(finished, mean))
    except KeyboardInterrupt:
        interrupted = True
        emit(Notice(_interruption(journal)))
    finally:
        with suppress(KeyboardInterrupt):
            emit(Finished(len(record.generations), interrupted))
    return RunResult(mean, tuple(record.generations), len(record.generations) - past, interrupted)


def _header(strategy: Strategy, settings: RunSettings, begun: bool) -> dict[str, Any]:
    """The journal's first line. Once it is written it holds the history of earlier stages: they may be deleted."""
    history = []
    if settings.after is not None and not begun:
        before = read_run(settings.after)
        if before.header.get("strategy") != strategy.spec or before.header.get("start") != digest(strategy.mean):
            raise ConfigError(
                f"{settings.after}: its strategy is {before.header.get('strategy')}, but this one is {strategy.spec}; "
                "a stage needs the strategy, seed and start of the previous stage"
            )
        history = [told.to_json() for told in before.history]
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": settings.config,
        "strategy": strategy.spec,
        "seed": settings.seed,
        "start": digest(strategy.mean),
        "pressure": settings.pressure.to_json(),
        "after": str(settings.after) if settings.after else None,
        "versions": software_versions(),
        "description": settings.description,
        "history": history,
    }


def _interruption(journal: Journal) -> str:
    record = journal.record
    return (
        f"interrupted in generation {len(record.generations)} with {len(record.pending)} of its shards on disk; resume "
        f"to continue ({journal.path})"
    )
