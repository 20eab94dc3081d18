"""A folder of results, read without changing it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.config import EvaluationConfig, load_evaluation_config
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.journal import Remedies, read_journal
from namm_xmodal.evaluation.plan import SectionPlan, make_plan, say_left_out
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.results_folder import JOURNAL, RESOLVED
from namm_xmodal.modalities.table import MODALITIES


@dataclass(frozen=True)
class Results:
    """What a folder holds.

    Attributes:
        config: As resolved when it was run; its output is the folder.
        plan: Its sections.
        records: Of the plan, in its order.
    """

    config: EvaluationConfig
    plan: tuple[SectionPlan, ...]
    records: list[Record]


def read_results(folder: Path, notice: Callable[[str], None] = lambda text: None) -> Results:
    """Reads configuration and journal.

    Args:
        folder: Of the results, wherever it lies now.
        notice: Called with the news of a torn line, or of results that the configuration does not ask for.

    Raises:
        ResultsError: If it is no folder of results, or of another version.
        NammError: If a policy or benchmark of the configuration is gone.
    """
    path = folder / RESOLVED
    if not path.is_file() or not (folder / JOURNAL).is_file():
        raise ResultsError(
            f"{folder}: contains no {JOURNAL} and {RESOLVED}; expected a folder written by `namm-xmodal eval`"
        )
    facts = {name: modality.facts for name, modality in MODALITIES.items()}
    records = read_journal(folder / JOURNAL, facts, notice, Remedies.of_reading(folder))
    kinds = {name: modality.section for name, modality in MODALITIES.items()}
    config = load_evaluation_config(path, kinds, output=str(folder))
    plan = make_plan(config, MODALITIES)
    own = [record for section in plan for record in section.in_order(records)]
    say_left_out(len(records) - len(own), folder / JOURNAL, notice)
    return Results(config, plan, own)
