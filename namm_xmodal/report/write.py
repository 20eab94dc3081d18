"""Writes everything an evaluation shows into its folder: summary, tables, figures, the page."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from namm_xmodal.config.evaluation import EvaluationConfig
from namm_xmodal.disk.own_files import check_outputs, is_own
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import MissingDependencyError, NammError, ResultsError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.exhibit import Exhibit, from_json, to_json
from namm_xmodal.evaluation.plan import SectionPlan
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.threads import threads
from namm_xmodal.evaluation.versions import software_versions
from namm_xmodal.extras import need
from namm_xmodal.report.card import CARD, write_card
from namm_xmodal.report.means import means_of
from namm_xmodal.report.page.render import write_page
from namm_xmodal.report.parquet import ESTIMATES, RESULTS, write_parquet
from namm_xmodal.report.summary import Summary, summarise
from namm_xmodal.report.table import score_tables
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.trust.terminal import PlainConsole

SUMMARY_FORMAT = 2
EXHIBITS = "exhibits.json"
MOST_ARMS = 3
"""Number of arms that are shown token by token and frame by frame."""


def write_report(
    records: Sequence[Record],
    config: EvaluationConfig,
    plan: Sequence[SectionPlan],
    *,
    width: int | None = None,
    notice: Callable[[str], None] = lambda text: None,
    parquet: bool = False,
    card: bool = False,
) -> list[Table]:
    """Writes `summary.json`, `table.txt` and `report/` beside the results; also what each modality writes of its own.

    Parquet files and a card that were written before are written anew, so that they never are of older results.

    Args:
        records: All records of the evaluation.
        config: Its configuration.
        plan: Its sections.
        width: Width of the returned tables; the terminal's if absent.
        notice: Called with what could not be shown.
        parquet: Whether to write the results as Parquet files.
        card: Whether to write `README.md` for the Hugging Face Hub.

    Returns:
        The tables for the terminal.

    Raises:
        ResultsError: If there are no records, or the folder cannot be written.
        FolderError: If a file of the user's stands where one of those that are asked for would be written.
        MissingDependencyError: If Parquet files are asked for and pyarrow is not installed.
    """
    folder = config.folder
    tables = [folder / RESULTS, folder / ESTIMATES]
    if parquet:
        check_outputs(tables, option="--parquet")
        need("pyarrow.parquet", "report --parquet")
    if card:
        check_outputs([folder / CARD], option="--card")
    summary = _summary(records, config, plan, notice)
    exhibits = _exhibits(folder, plan, records, notice)
    by_section = {section.name: [each for each in records if each.section == section.name] for section in plan}
    for section in plan:
        more = section.modality.exhibits_of_records(section.section, by_section[section.name])
        exhibits.setdefault(section.name, []).extend(more)
    try:
        replace_text(folder / "summary.json", summary_json(summary, records, plan))
        replace_text(folder / "table.txt", _as_text(score_tables(summary, 200)))
        for section in plan:
            for name, text in section.modality.files(section.section, by_section[section.name]).items():
                replace_text(folder / name, text)
        write_page(folder / "report", summary, exhibits, config.to_mapping(), folder.name)
        there = [path for path in tables if path.exists()]
        if parquet or (there and all(map(is_own, there))):
            write_parquet(folder, summary)
        if card or is_own(folder / CARD):
            write_card(folder, summary, config.to_mapping())
    except MissingDependencyError as error:
        notice(f"{folder / RESULTS}: belongs to earlier results: {error}")
    except OSError as error:
        raise ResultsError(
            f"{folder}: cannot be written; {disk_trouble(error, 'run again')}; the results are kept"
        ) from None
    return score_tables(summary, width or Console().width)


def tables_only(
    records: Sequence[Record],
    config: EvaluationConfig,
    plan: Sequence[SectionPlan],
    *,
    notice: Callable[[str], None] = lambda text: None,
) -> list[Table]:
    """The tables for the terminal, as of `write_report`; nothing is written."""
    return score_tables(_summary(records, config, plan, notice), Console().width)


def _summary(
    records: Sequence[Record], config: EvaluationConfig, plan: Sequence[SectionPlan], notice: Callable[[str], None]
) -> Summary:
    if not records:
        raise ResultsError(f"{config.folder}: no results yet; run the evaluation until at least one item is finished")
    summary = summarise(records, plan, config.run.bootstrap)
    if summary.incomplete:
        notice(f"{summary.incomplete} in {config.folder}: incomplete, the tables show the results so far")
    return summary


def summary_json(summary: Summary, records: Sequence[Record], plan: Sequence[SectionPlan]) -> str:
    """The summary as JSON text, and why items were skipped or failed."""
    messages: dict[str, dict[str, str]] = {}
    for record in records:
        if record.message:
            messages.setdefault(record.section, {})[record.item] = record.message
    content = {
        "format": SUMMARY_FORMAT,
        "digests": {section.name: section.digest for section in plan},
        "versions": software_versions(),
        "messages": messages,
        "rows": [row.to_json() for row in summary.rows],
        "means": [mean.to_json() for mean in means_of(summary)],
    }
    return json.dumps(content, indent=1) + "\n"


def shown_arms(section: SectionPlan, records: Sequence[Record]) -> list[Arm]:
    """NAMMs first, then KeyDiff, then the other baselines, each at its smallest size; a few that have results."""
    there = {record.arm for record in records if record.section == section.name}

    def rank(arm: Arm) -> tuple[bool, bool, float]:
        size = 0.0 if arm.budget is None else float(arm.budget)
        return (not arm.learned, type(arm.policy).__name__ != "KeyDiff", size)

    by_label: dict[str, Arm] = {}
    for arm in sorted((arm for arm in section.arms if arm.policy is not None and arm.key in there), key=rank):
        by_label.setdefault(arm.label, arm)
    return list(by_label.values())[:MOST_ARMS]


def _exhibits(
    folder: Path, plan: Sequence[SectionPlan], records: Sequence[Record], notice: Callable[[str], None]
) -> dict[str, list[Exhibit]]:
    """Made once and kept: they need the models. Those of arms that have changed are made anew."""
    path = folder / EXHIBITS
    try:
        known = read_json(path, error=ResultsError, expected="exhibits") if path.exists() else {}
    except ResultsError:
        known = {}
    found, fresh = {}, {}
    for section in plan:
        arms = shown_arms(section, records)
        if not arms:
            continue
        wanted = [section.digest, *(f"{arm.key} {arm.fingerprint}" for arm in arms)]
        before = known.get(section.name) if isinstance(known, dict) else None
        if isinstance(before, dict) and before.get("of") == wanted:
            found[section.name] = from_json(before.get("exhibits"), str(path))
            fresh[section.name] = before
            continue
        try:
            with threads(section.section.threads):
                found[section.name] = list(section.modality.exhibits(section.section, arms))
        except NammError as error:
            notice(f"{section.name}: cannot draw what was kept: {error}")
            continue
        fresh[section.name] = {"of": wanted, "exhibits": to_json(found[section.name])}
    try:
        replace_text(path, json.dumps(fresh, separators=(",", ":")))
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot be written; {disk_trouble(error, 'run again')}; the results are kept"
        ) from None
    return found


def _as_text(tables: Sequence[Table]) -> str:
    from io import StringIO

    buffer = StringIO()
    console = PlainConsole(file=buffer, width=200)
    for table in tables:
        console.print(table)
    return buffer.getvalue()
