"""The folder of an evaluation: its journal and configuration, and checks of the results that it already holds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from namm_xmodal.config.evaluation import EvaluationConfig
from namm_xmodal.config.save import changes
from namm_xmodal.disk.own_files import is_own
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.journal import Journal, Settings, read_settings_and_records, set_aside
from namm_xmodal.evaluation.plan import SectionPlan
from namm_xmodal.evaluation.record import Record
from namm_xmodal.types import OnNotice

JOURNAL = "results.jsonl"
RESOLVED = "config.yaml"
FORMER = ("scores", "accuracy", "survivors")
"""Pictures that earlier versions drew beside the results, not all of them signed."""


@contextmanager
def open_results(
    config: EvaluationConfig, plan: Sequence[SectionPlan], *, fresh: bool, notice: OnNotice
) -> Iterator[Journal]:
    """Creates or resumes the journal in the folder of the results, and saves the resolved configuration beside it.

    Args:
        config: What is evaluated.
        plan: Its sections; the folder may hold others as well.
        fresh: Whether earlier results are backed up first.
        notice: Called with where they went, and about a torn line.

    Raises:
        ResultsError: If the folder holds results of other settings, or of another policy under a name that is used
            here, is in use, or cannot be written.
    """
    folder = config.folder
    if fresh and (kept := set_aside(folder / JOURNAL)):
        notice(f"earlier results are backed up as {kept}")
        _set_pictures_aside(folder)
    facts = {section.modality.name: section.modality.facts for section in plan}
    with Journal(folder / JOURNAL, facts, notice) as journal:
        _check(journal.path, journal.settings, journal.records, plan)
        for section in plan:
            if section.name not in journal.settings:
                journal.add_section(section.name, section.digest, section.relevant)
        path = folder / RESOLVED
        try:
            replace_text(path, config.with_sections({section.name: section.section for section in plan}).to_yaml())
        except OSError as error:
            raise ResultsError(f"{path}: cannot be written: {disk_trouble(error, 'run again to resume')}") from None
        yield journal


def check_results(config: EvaluationConfig, plan: Sequence[SectionPlan], notice: OnNotice) -> None:
    """Refuses what `open_results` would refuse of the results that a folder holds; writes nothing.

    Raises:
        ResultsError: See `open_results`.
    """
    path = config.folder / JOURNAL
    if path.exists():
        facts = {section.modality.name: section.modality.facts for section in plan}
        _check(path, *read_settings_and_records(path, facts, notice), plan)


def _check(path: Path, settings: Settings, records: Sequence[Record], plan: Sequence[SectionPlan]) -> None:
    for section in plan:
        _check_settings(path, settings, section)
        _check_arms(path, records, section)


def _set_pictures_aside(folder: Path) -> None:
    """Removes pictures of earlier results, so that they are not taken for new ones; figures of the page are drawn again."""
    for path in (folder / f"{name}{suffix}" for name in FORMER for suffix in (".png", ".svg")):
        if path.is_file() and (is_own(path) or b"matplotlib" in path.read_bytes()[:4096].lower()):
            set_aside(path)
    for path in (*(folder / "report").glob("*.png"), *(folder / "report").glob("*.svg")):
        if is_own(path):
            path.unlink()


def _check_settings(path: Path, settings: Settings, section: SectionPlan) -> None:
    """Results of other settings are refused, with the keys that differ."""
    before = settings.get(section.name)
    if before is None or before == section.relevant:
        return
    changed = ", ".join(
        f"{section.name}.{key} ({old!r}, now {new!r})" for key, old, new in changes(before, section.relevant)
    )
    raise ResultsError(
        f"{path}: holds results with other settings: {changed}; choose another --output, or use --fresh (existing "
        "results are backed up)"
    )


def _check_arms(path: Path, records: Sequence[Record], section: SectionPlan) -> None:
    fingerprints = {arm.key: arm.fingerprint for arm in section.arms}
    for record in records:
        now = fingerprints.get(record.arm, record.fingerprint)
        if record.section == section.name and record.fingerprint != now:
            raise ResultsError(
                f"{path}: holds results of another policy named {record.policy!r} (fingerprint "
                f"{record.fingerprint}, now {now}: other fields or other weights); give it another label, or use --fresh "
                "(existing results are backed up)"
            )
