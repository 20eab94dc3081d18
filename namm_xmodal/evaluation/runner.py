"""Runs a plan: what is missing in the journal, in this process or in several, result by result onto the disk."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from namm_xmodal.config import EvalConfig, evaluation_digest
from namm_xmodal.evaluation.plan import Plan, Unit, make_plan
from namm_xmodal.evaluation.preflight import check_evaluation
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.results_folder import Progress, open_results
from namm_xmodal.workers.messages import Task
from namm_xmodal.workers.processes import process_pool

if TYPE_CHECKING:
    from namm_xmodal.evaluation.worker import LanguageWorker


def evaluate(
    config: EvalConfig,
    *,
    fresh: bool = False,
    progress: Progress = lambda done, total, what: None,
    notice: Callable[[str], None] = lambda text: None,
) -> list[Record]:
    """Evaluates every policy on every sample and returns all records, earlier ones of the same folder included.

    Args:
        config: What to evaluate and where results go.
        fresh: Set earlier results aside instead of going on from them.
        progress: Called after every record as `progress(done, total, what)`.
        notice: Told what is worth knowing, such as a torn line that was dropped.

    Raises:
        NammError: On the user's mistakes, before a model is loaded wherever possible.
    """
    plan = make_plan(config)
    fingerprints = {run.key("", 0)[2:]: run.fingerprint for run in plan.runs}
    with open_results(
        config, evaluation_digest(config), fingerprints, lambda record: record.key[2:], fresh=fresh, notice=notice
    ) as journal:
        done = frozenset(record.key for record in journal.records)
        units = plan.units(done)
        finished = plan.total - sum(len(unit.runs) for unit in units)
        if finished and units:
            notice(f"going on after {finished} of {plan.total} results in {config.output}")
        if units:
            check_evaluation(config, plan)
        progress(finished, plan.total, "")
        for record in _results(config, plan, units):
            journal.append(record)
            finished += 1
            progress(finished, plan.total, f"{record.task} · {record.policy}")
        return in_order(journal.records, plan)


def in_order(records: list[Record], plan: Plan) -> list[Record]:
    """The plan's records by task, run and sample, whatever order workers finished in."""
    tasks = {task.label: i for i, task in enumerate(plan.tasks)}
    runs = {run.key("", 0)[2:]: i for i, run in enumerate(plan.runs)}
    wanted = {task.label: task.count for task in plan.tasks}  # an earlier run may have had more samples, or policies
    records = [r for r in records if r.key[2:] in runs and r.sample < wanted[r.task]]
    return sorted(records, key=lambda record: (tasks[record.task], runs[record.key[2:]], record.sample))


def _results(config: EvalConfig, plan: Plan, units: list[Unit]) -> Iterator[Record]:
    from namm_xmodal.evaluation.worker import LanguageWorker

    if not units:
        return
    if config.workers > 1 and len(units) > 1:
        each = [replace(unit, runs=(run,)) for unit in units for run in unit.runs]
        with closing(process_pool(partial(LanguageWorker, config), config.workers, silence=config.silence)) as pool:
            for done in pool.run([Task(_what(plan, unit), partial(_run, unit)) for unit in each]):
                yield from done.content
        return
    import torch

    threads = torch.get_num_threads()
    worker = LanguageWorker(config, plan)
    try:
        for unit in units:
            yield from worker.run(unit)
    finally:
        torch.set_num_threads(threads)


def _run(unit: Unit, worker: "LanguageWorker") -> list[Record]:
    return list(worker.run(unit))


def _what(plan: Plan, unit: Unit) -> str:
    return f"tasks.{unit.task}: sample {unit.sample} under {', '.join(plan.runs[index].label for index in unit.runs)}"
