"""The modality `language`."""

from collections.abc import Callable, Sequence
from typing import Any

from namm_xmodal.config.save import GENERATED_TEXT, digest
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.exhibit import Exhibit
from namm_xmodal.evaluation.modality import Item, Metric, Modality, Session
from namm_xmodal.language.suites.hub import HubPlace, hub_commit, hub_place
from namm_xmodal.language.suites.table import find_suite
from namm_xmodal.modalities.language.facts import LanguageFacts
from namm_xmodal.modalities.language.groups import first_of_each
from namm_xmodal.modalities.language.metrics import headline, lower_is_better
from namm_xmodal.modalities.language.section import OF_SUITES, LanguageSection
from namm_xmodal.modalities.language.tasks import suite_of, tasks_of


class Language(Modality):
    """Tasks of a language model: retrieval, completion, classification, loss."""

    name = "language"
    section = LanguageSection
    facts = LanguageFacts
    named_by_records = frozenset({"subset", "n"})
    not_compared = frozenset({"document", "line", "lines_back", "recalls", "id"})

    def pinned(self, section: LanguageSection) -> LanguageSection:
        """See `Modality.pinned`: a suite on the Hub at its commit."""
        suite = suite_of(section)
        place = None if suite is None else hub_place(suite, section.data)
        if place is None:
            return section
        return section.model_copy(update={"data": str(HubPlace(place.repository, hub_commit(place)))})

    def items(self, section: LanguageSection) -> Sequence[Item]:
        """Samples, task by task in turn, so that every task has some results early."""
        first: dict[str, Sequence[int]] = {}  # by task and sample: the first one with the same context
        for label, asked in tasks_of(section).items():
            first[label] = first_of_each(label, asked.task, asked.count) or range(asked.count)
        return [
            Item(f"{label}/{number}", label, number, f"{label}/{firsts[number]}")
            for number in range(max(map(len, first.values())))
            for label, firsts in first.items()
            if number < len(firsts)
        ]

    def open(self, section: LanguageSection) -> Session:
        """See `Modality.open`."""
        from namm_xmodal.modalities.language.session import LanguageSession

        return LanguageSession(section)

    def settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """More samples never change earlier ones, so their number is left out of the digest."""
        tasks = settings["tasks"]
        found = {**settings, "tasks": {label: {k: v for k, v in tasks[label].items() if k != "n"} for label in tasks}}
        if settings["rope_scaling"] is None:
            del found["rope_scaling"]
        if settings["suite"] is None:
            found = {key: value for key, value in found.items() if key not in OF_SUITES}
        else:
            suite = find_suite(settings["suite"])
            found["suite_table"] = digest(suite.model_dump(mode="json", exclude={"hub", "archive"}))
            if hub_place(suite, settings["data"]) is not None:
                found["archive"] = suite.archive
        return found | ({"generated_text": GENERATED_TEXT} if "generate" in settings["scoring"] else {})

    def check(
        self, section: LanguageSection, items: Sequence[Item], arms: Sequence[Arm], notice: Callable[[str], None]
    ) -> None:
        """See `Modality.check`: makes every sample with the model's tokenizer."""
        from namm_xmodal.modalities.language.preflight import check_language

        check_language(section, arms, notice)

    def averaged(self, section: LanguageSection) -> tuple[str, Sequence[str]] | None:
        """See `Modality.averaged`: the tasks of the suite."""
        suite = suite_of(section)
        return None if suite is None else (suite.name, list(suite.tasks))

    def exhibits(self, section: LanguageSection, arms: Sequence[Arm]) -> Sequence[Exhibit]:
        """See `Modality.exhibits`."""
        from namm_xmodal.modalities.language.exhibits import text_exhibits

        return text_exhibits(section, arms)

    def metrics(self, section: LanguageSection, task: str, names: Sequence[str]) -> Sequence[Metric]:
        """One by likelihood and one by generation in the table, the rest in the files."""
        asked = tasks_of(section)[task]
        shown = headline(asked.task, names)
        clustered = first_of_each(task, asked.task, asked.count) is not None
        return [Metric(name, not lower_is_better(name), clustered=clustered, headline=name in shown) for name in names]
