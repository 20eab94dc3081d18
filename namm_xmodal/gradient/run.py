"""A run of descent: one line of journal and one saved state per step, so that a killed run resumes where it stopped.

A step is done when its state is on disk. Its line is written before; a line without its state is dropped and made again.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.disk.append_only import LONGEST, append_line
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replace_text, replacing
from namm_xmodal.errors import CheckpointError, EvolutionError
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.fitness.agree import PREFIX
from namm_xmodal.fitness.mixture import Mixture, MixtureFactory
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.batch import Point, gradients
from namm_xmodal.gradient.descent import Descent, DescentSettings
from namm_xmodal.gradient.rollouts import RolloutSettings
from namm_xmodal.gradient.sample import SampleGradient, Vector
from namm_xmodal.policies.namm import ThresholdSchedule, last_layer
from namm_xmodal.trust.archive import read_npz
from namm_xmodal.trust.files import read_text
from namm_xmodal.trust.json_text import parse_json
from namm_xmodal.workers.pool import SILENCE

JOURNAL = "gradient.jsonl"
STATE = "gradient.npz"


@dataclass(frozen=True)
class StepRecord:
    """One step, as the journal has it.

    Attributes:
        step: Its number, from 1.
        budget: Kept fraction aimed at; the largest, once each sample draws its own.
        kept: Mean kept fraction over the samples.
        loss: Mean loss of the samples of each task, nats per token, and of each source of agreement, nats.
        threshold: Mean over the schedule, after the step.
        length: Of the mean gradient.
    """

    step: int
    budget: float
    kept: float
    loss: dict[str, float]
    threshold: float
    length: float


def descend(
    factory: MixtureFactory,
    settings: DescentSettings,
    folder: Path,
    digest: str,
    *,
    start: Vector | None = None,
    schedule: ThresholdSchedule | None = None,
    workers: int = 1,
    silence: float = SILENCE,
    rollouts: RolloutSettings | None = None,
    beside: Callable[[Vector, int], Vector] | None = None,
    on_progress: Callable[[StepRecord], None] = lambda record: None,
) -> Descent:
    """Runs all steps that the folder does not hold yet.

    Args:
        factory: Tasks, sources, models, pruning, and the parts of the NAMM.
        settings: Hyper-parameters.
        folder: Where journal and state are.
        digest: Fingerprint of all that decides the result; a folder of another one is refused.
        start: First parameters; random if None.
        schedule: First thresholds of the tasks.
        workers: Processes.
        silence: Seconds without an answer after which one is replaced.
        rollouts: For a policy gradient; None for straight-through gradients.
        beside: Parameters and step to the gradient of another objective, added to the mean of each batch; a part of what
            `digest` stands for.
        on_progress: Called after each step is on disk.

    Raises:
        EvolutionError: If the folder holds another run, or the disk is full.
    """
    objective = Mixture(factory)
    moving = last_layer(objective.template) if settings.trained == "last_layer" else None
    descent = Descent(objective.num_parameters, settings, start, schedule, moving)
    folder.mkdir(parents=True, exist_ok=True)
    _take_up(descent, folder, digest)
    if descent.step >= settings.steps:
        return descent
    weights = {PREFIX + name: source.weight for name, source in factory.agree.sources.items()}
    with gradients(factory, workers, silence) as take:
        while descent.step < settings.steps:
            shards: list[Shard] = objective.shards(descent.step)
            budget = descent.budget
            aims = aims_of(descent, factory)
            results = take(Point(descent.parameters, aims, settings.seed, descent.step, rollouts), shards)
            other = None if beside is None else beside(descent.parameters, descent.step)
            length = descent.take(results, other, weights)
            record = _record(descent, budget, length, shards, results)
            _append(folder / JOURNAL, {"kind": "step", **asdict(record)})
            _save(descent, folder, digest)
            on_progress(record)
    return descent


def aims_of(descent: Descent, factory: MixtureFactory) -> dict[str, Aim]:
    """What is kept in the next step.

    Args:
        descent: Its budgets and thresholds.
        factory: Whose sources may have budgets of their own.

    Returns:
        Label of a source of agreement, "" for the tasks, to what its samples keep and should keep.
    """
    settings, per_head = descent.settings, descent.settings.selection == "head"
    smallest = settings.smallest_budget if descent.step >= settings.anneal else None
    whole = settings.share_of == "whole"
    aims = {"": Aim(descent.schedule(), descent.budget, settings.floor, per_head, smallest, whole)}
    for name, source in factory.agree.sources.items():
        budget = settings.budget_at(descent.step, source.budget)
        floor = settings.floor if source.floor is None else source.floor
        own = smallest and (source.smallest_budget or smallest)
        of_whole = whole if source.share_of is None else source.share_of == "whole"
        aims[PREFIX + name] = Aim(descent.schedule(PREFIX + name), budget, floor, per_head, own, of_whole)
    return aims


def read_steps(folder: Path) -> list[StepRecord]:
    """The finished steps of a run; a last line that was cut off is left out.

    Raises:
        CheckpointError: If there is no journal, or it is damaged.
    """
    path = folder / JOURNAL
    text = read_text(path, error=CheckpointError, expected="the journal of a warm start", most=LONGEST)
    try:
        lines = [parse_json(line) for line in text.rpartition("\n")[0].splitlines()]
        steps = [{k: v for k, v in line.items() if k != "kind"} for line in lines if line["kind"] == "step"]
        return [StepRecord(**step) for step in steps]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not the journal of a warm start ({error})") from None


def _record(
    descent: Descent, budget: float, length: float, shards: list[Shard], results: list[SampleGradient]
) -> StepRecord:
    losses: dict[str, list[float]] = {}
    for shard, result in zip(shards, results, strict=True):
        losses.setdefault(shard.task, []).append(result.loss)
    loss = {task: round(float(np.mean(values)), 4) for task, values in losses.items()}
    kept = round(float(np.mean([result.kept for result in results])), 4)
    levels = [each for by_seen in descent.thresholds.values() for each in by_seen.values()]
    threshold = round(float(np.mean(levels or [0.0])), 4)
    return StepRecord(descent.step, round(budget, 4), kept, loss, threshold, round(length, 4))


def saved_state(folder: Path, digest: str) -> dict[str, NDArray[Any]] | None:
    """What `Descent.restore` takes: the state after the last finished step, None before the first.

    Args:
        folder: Where journal and state are; nothing is written.
        digest: See `descend`.

    Raises:
        EvolutionError: If the folder holds steps of another run, or is damaged.
    """
    path = folder / STATE
    if not path.exists():
        return None
    arrays = read_npz(path, error=EvolutionError, expected="the state of a warm start; choose another --run")
    found = str(arrays.pop("digest", ""))
    if found != digest:
        raise EvolutionError(
            f"{folder}: holds a warm start with other settings ({found}, not {digest}); choose another --run"
        )
    return arrays


def _take_up(descent: Descent, folder: Path, digest: str) -> None:
    """Restores the last finished step; drops a torn line of the journal, and one of a step that was not finished."""
    journal, state = folder / JOURNAL, saved_state(folder, digest)
    lines = [json.dumps({"kind": "run", "config": digest})]
    if state is not None:
        descent.restore(state)
        text = read_text(journal, error=EvolutionError, expected="a journal", most=LONGEST) if journal.exists() else ""
        lines += [line for line in text.rpartition("\n")[0].splitlines()[1:] if _step_of(line) <= descent.step]
    try:
        replace_text(journal, "\n".join(lines) + "\n")
    except OSError as error:
        raise EvolutionError(f"{journal}: {disk_trouble(error)}; all earlier steps are kept") from None


def _step_of(line: str) -> float:
    """Of a line of the journal; infinite for one that cannot be read."""
    try:
        return float(parse_json(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _save(descent: Descent, folder: Path, digest: str) -> None:
    path = folder / STATE
    try:
        with replacing(path) as fresh:
            np.savez(fresh, digest=np.array(digest), **descent.state())  # type: ignore[arg-type]
    except OSError as error:
        raise EvolutionError(f"{path}: {disk_trouble(error)}; the step before it is kept") from None


def _append(path: Path, line: dict[str, Any]) -> None:
    try:
        append_line(path, json.dumps(line))
    except OSError as error:
        raise EvolutionError(f"{path}: {disk_trouble(error)}; all earlier steps are kept") from None
