"""Runs what is missing in the journal, in this process or in several; every result is saved at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from namm_xmodal.config.blame import blamed
from namm_xmodal.config.building import at
from namm_xmodal.config.evaluation import EvaluationConfig, RunConfig
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.hardware import hardware
from namm_xmodal.evaluation.journal import read_journal
from namm_xmodal.evaluation.modality import Modality, OnStatus, Session, Work
from namm_xmodal.evaluation.plan import SectionPlan, say_left_out, total
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.results_folder import JOURNAL, open_results
from namm_xmodal.evaluation.threads import threads
from namm_xmodal.evaluation.versions import software_versions
from namm_xmodal.types import OnNotice, OnProgress
from namm_xmodal.workers.messages import Task
from namm_xmodal.workers.processes import process_pool


def evaluate(
    config: EvaluationConfig,
    plan: Sequence[SectionPlan],
    *,
    fresh: bool = False,
    on_progress: OnProgress = lambda done, total, what: None,
    on_section: Callable[[str, int, int], None] = lambda name, begin, end: None,
    notice: OnNotice = lambda text: None,
) -> list[Record]:
    """Runs every arm on every item and returns all records, earlier ones of the same folder included.

    Args:
        config: What to evaluate and where results go.
        plan: What it consists of, of `make_plan`.
        fresh: Back earlier results up and start from scratch instead of resuming.
        on_progress: Called after every record as `on_progress(done, total, what)`.
        on_section: Called before every section as `on_section(name, begin, end)`, with what is done before and after it.
        notice: Called with what is worth knowing, such as a video that was skipped.

    Raises:
        NammError: On the user's mistakes, before a model is loaded wherever possible.
    """
    _check(config, plan, fresh, notice)
    with open_results(config, plan, fresh=fresh, notice=notice) as journal:
        done = frozenset(record.key for record in journal.records)
        works = {section.name: section.works(done) for section in plan}
        everything = total(plan)
        own = sum(len(section.in_order(journal.records)) for section in plan)
        say_left_out(len(journal.records) - own + journal.unread, journal.path, notice)
        finished = everything - sum(len(arms) for each in works.values() for work in each for arms in work.arms)
        if finished == everything:
            notice(
                f"finished earlier: all {everything} results are in {config.run.output}; --fresh backs them up and "
                "starts from scratch"
            )
        elif finished:
            notice(f"resuming after {finished} of {everything} results in {config.run.output}")
        on_progress(finished, everything, "")
        known = _Known(journal.records)

        def on_status(what: str) -> None:
            on_progress(finished, everything, what)  # as many as are finished when it is called

        for section in plan:
            missing = sum(len(arms) for work in works[section.name] for arms in work.arms)
            on_section(section.name, finished, finished + missing)
            for record in _records(section, works[section.name], config.run, on_status):
                known.check(record, str(journal.path))
                journal.append(record)
                finished += 1
                on_progress(finished, everything, f"{record.section}: {record.task} · {record.policy}")
                if record.message and known.news(record):
                    notice(f"{record.section} {record.item}: {record.status}: {record.message}")
        return [record for section in plan for record in section.in_order(journal.records)]


def _check(config: EvaluationConfig, plan: Sequence[SectionPlan], fresh: bool, notice: OnNotice) -> None:
    """Checks unfinished sections before anything is written."""
    path = config.folder / JOURNAL
    facts = {section.modality.name: section.modality.facts for section in plan}
    earlier = [] if fresh or not path.exists() else read_journal(path, facts)
    done = frozenset(record.key for record in earlier)
    for section in plan:
        if section.works(done):
            section.check(notice)


@dataclass(frozen=True)
class SectionWorker:
    """What a process needs to run a section; `first` are the ids of the first item of each task."""

    name: str
    place: str
    modality: Modality
    section: Any
    digest: str
    first: frozenset[str]

    def open(self) -> "OpenSection":
        """Loads the model, in a process that uses as many threads as the section says."""
        import torch

        torch.set_num_threads(self.section.threads)
        with blamed(self.place, self.modality):
            return OpenSection(self, self.modality.open(self.section))


@dataclass(frozen=True)
class OpenSection:
    """A section whose model is loaded."""

    worker: SectionWorker
    session: Session

    def records(self, works: Sequence[Work], on_status: OnStatus = lambda what: None) -> Iterator[Record]:
        """Outcomes, and where they come from.

        Raises:
            NammError: What the user's own code raised on the first item of a task, or of no item at all.
        """
        worker = self.worker
        about: dict[str, Any] = {
            "seed": worker.section.seed,
            "digest": worker.digest,
            "versions": {**software_versions(), **worker.modality.versions()},
            "hardware": hardware(worker.section.device),
        }
        with blamed(worker.place, self.session):
            for outcome in self.session.run(works, on_status):
                if outcome.error is not None and outcome.item.id in worker.first:
                    raise at(f"{worker.place}: {outcome.item.id}", outcome.error)
                yield Record.of(worker.name, outcome, **about)


def _records(plan: SectionPlan, works: list[Work], run: RunConfig, on_status: OnStatus) -> Iterator[Record]:
    if not works:
        return
    worker = SectionWorker(plan.name, plan.place, plan.modality, plan.section, plan.digest, plan.first)
    if run.workers > 1 and len(works) > 1:
        with closing(process_pool(worker.open, run.workers, silence=run.silence)) as pool:
            for done in pool.run([Task(_what(plan, work), partial(_run, work)) for work in works]):
                yield from done.content
        return
    with threads(worker.section.threads):
        yield from worker.open().records(works, on_status)


def _run(work: Work, session: "OpenSection") -> list[Record]:
    return list(session.records([work]))


def _what(plan: SectionPlan, work: Work) -> str:
    items = work.items[0].id if len(work.items) == 1 else f"{work.items[0].id} and {len(work.items) - 1} more"
    return f"section {plan.name}: {items}"


class _Known:
    """What earlier records say of their models; results of other weights must not be mixed with them."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._models = {(record.section, record.model["name"]): record.model for record in records}
        self._messages: set[str] = set()

    def check(self, record: Record, where: str) -> None:
        """Refuses a record of another model of the same name.

        Raises:
            ResultsError: With both.
        """
        before = self._models.setdefault((record.section, record.model["name"]), record.model)
        if before != record.model:
            raise ResultsError(
                f"{where}: holds results of another model named {record.model['name']!r} ({before['source']}, "
                f"{before['dtype']}; now {record.model['source']}, {record.model['dtype']}); choose another --output, or "
                "use --fresh (existing results are backed up)"
            )

    def news(self, record: Record) -> bool:
        """Whether it was not reported yet: a broken video gives one notice, however many questions and arms it has."""
        new = record.message not in self._messages
        self._messages.add(record.message)
        return new
