"""The plan of an evaluation: in each section, every arm on every item."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from namm_xmodal.config.blame import named
from namm_xmodal.config.evaluation import EvaluationConfig, modality_of
from namm_xmodal.config.save import digest
from namm_xmodal.errors import ConfigError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.modality import Item, Modality, Work
from namm_xmodal.evaluation.record import Record, RecordKey

_NAMED_BY_RECORDS = frozenset({"policies", "budgets", "schedules", "fit", "threads"})
"""Keys of every section that its digest leaves out: records name what they belong to, or results do not depend on them."""


@dataclass(frozen=True)
class SectionPlan:
    """The arms and items of one section.

    Attributes:
        name: Of the section, such as `rl` or `rl@tmaze`.
        place: Where the section stands, for messages: file and name.
        modality: Its modality.
        section: Its configuration.
        items: In the order in which they are worked on.
        arms: The full cache first.
    """

    name: str
    place: str
    modality: Modality
    section: Any
    items: tuple[Item, ...]
    arms: tuple[Arm, ...]

    @property
    def total(self) -> int:
        """Records of a complete section."""
        return len(self.items) * len(self.arms)

    @property
    def first(self) -> frozenset[str]:
        """Ids of the first item of each task."""
        return frozenset({item.task: item.id for item in reversed(self.items)}.values())

    @cached_property
    def relevant(self) -> dict[str, Any]:
        """The part of the configuration that every record depends on."""
        settings: dict[str, Any] = self.section.model_dump(mode="json")
        left_out = _NAMED_BY_RECORDS | self.modality.named_by_records
        return self.modality.settings({key: value for key, value in settings.items() if key not in left_out})

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits over `relevant`; equal digests may share a results file."""
        return digest(self.relevant)

    def check(self, notice: Callable[[str], None] = lambda text: None) -> None:
        """Refuses what the run would refuse, before a model is loaded.

        Args:
            notice: Called with what cannot be known yet.

        Raises:
            NammError: The first mistake, on one line.
        """
        with named(self.place):
            self.modality.check(self.section, self.items, self.arms, notice)

    def key(self, item: Item, arm: Arm) -> RecordKey:
        """Of the record of an arm on an item."""
        return (self.name, item.id, arm.key)

    def works(self, done: frozenset[RecordKey]) -> list[Work]:
        """What is left, group by group; arm by arm outside of that where arms share nothing."""
        together = [self.arms] if self.modality.arms_together else [(arm,) for arm in self.arms]
        works = []
        for arms in together:
            groups: dict[str, list[tuple[Item, tuple[Arm, ...]]]] = {}
            for item in self.items:
                left = tuple(arm for arm in arms if self.key(item, arm) not in done)
                if left:
                    groups.setdefault(item.group, []).append((item, left))
            works += [Work(*zip(*group, strict=True)) for group in groups.values()]
        return works

    def in_order(self, records: Iterable[Record]) -> list[Record]:
        """Its records sorted by task, arm and item; others are left out."""
        tasks = {task: place for place, task in enumerate(dict.fromkeys(item.task for item in self.items))}
        arms = {arm.key: place for place, arm in enumerate(self.arms)}
        items = {item.id: place for place, item in enumerate(self.items)}
        own = [r for r in records if r.section == self.name and r.arm in arms and r.item in items]
        return sorted(own, key=lambda record: (tasks[record.task], arms[record.arm], items[record.item]))


def make_plan(config: EvaluationConfig, modalities: Mapping[str, Modality]) -> tuple[SectionPlan, ...]:
    """Builds all arms and items, so that mistakes are found before a model is loaded.

    Args:
        config: The evaluation.
        modalities: By the name of their section.

    Raises:
        NammError: The mistake, on one line.
    """
    plans: list[SectionPlan] = []
    for name, section in config.sections.items():
        modality, place = modalities[modality_of(name)], f"{config.source}: {name}"
        _check_policies(name, section, modality, modalities, place)
        with named(place):
            section = modality.pinned(section)
            items, arms = tuple(modality.items(section)), tuple(modality.arms(section))
        plans.append(SectionPlan(name, place, modality, section, items, arms))
    return tuple(plans)


def say_left_out(count: int, journal: Path, notice: Callable[[str], None]) -> None:
    """Reports results in a folder that are not part of a plan.

    Args:
        count: How many.
        journal: Where they are.
        notice: Called if there are any.
    """
    if count:
        results = "1 result" if count == 1 else f"{count:,} results"
        notice(f"{results} of other sections, arms or items are kept in {journal} and left out of the tables")


def _check_policies(
    name: str, section: Any, modality: Modality, modalities: Mapping[str, Modality], place: str
) -> None:
    """Refuses a policy that only another modality has; a shared one reaches every section."""
    for label, spec in section.policies.items():
        policy = spec.get("policy")
        owners = [each.name for each in modalities.values() if policy in each.own_policies]
        if owners and modality.name not in owners:
            raise ConfigError(
                f"{place}: policies.{label}: {policy!r} is a policy of {' and '.join(owners)} only; leave it out with "
                f"{name}: {{policies: {{{label}: null}}}}"
            )


def total(plan: Sequence[SectionPlan]) -> int:
    """Records of a complete evaluation."""
    return sum(each.total for each in plan)
