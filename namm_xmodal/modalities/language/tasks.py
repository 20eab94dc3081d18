"""The tasks of a section by their labels: those that it lists, and those of its suite."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from namm_xmodal.config.building import at
from namm_xmodal.config.tasks import build_task
from namm_xmodal.errors import ConfigError, NammError
from namm_xmodal.language.suites.layout import find_files
from namm_xmodal.language.suites.table import Suite, find_suite
from namm_xmodal.language.suites.task import SuiteTask
from namm_xmodal.modalities.language.section import LanguageSection


@dataclass(frozen=True)
class Asked:
    """A task and how much of it is asked.

    Attributes:
        task: The task.
        count: Samples.
        path: Where it stands in the configuration, for messages.
    """

    task: Any
    count: int
    path: str


def tasks_of(section: LanguageSection) -> dict[str, Asked]:
    """All tasks, those that are listed first.

    Raises:
        NammError: If one cannot be built, or the suite is not there.
    """
    found = {
        label: Asked(*build_task(spec, f"tasks.{label}"), f"tasks.{label}") for label, spec in section.tasks.items()
    }
    for label, task in _of_suite(section).items():
        if label in found:
            raise ConfigError(f"tasks.{label}: the suite {section.suite} already has a task of this name; rename yours")
        try:
            there = len(task)
        except NammError as error:
            raise at(f"data: {label}", error) from None
        found[label] = Asked(task, there if section.n is None else min(section.n, there), f"{section.suite}: {label}")
    return found


def task_of(section: LanguageSection, label: str) -> Any:
    """One of them."""
    if label in section.tasks:
        return build_task(section.tasks[label], f"tasks.{label}")[0]
    return _of_suite(section)[label]


def missing_tasks(section: LanguageSection) -> tuple[str, ...]:
    """Tasks of the suite that have no file, and are left out."""
    suite = suite_of(section)
    return () if suite is None else find_files(suite, section.data, section.subset).missing


def on_model(task: Any, name: str, positions: int | None) -> Any:
    """A task that knows how much the model can read; others than those of suites know it by their lengths."""
    return replace(task, positions=positions, model=name) if isinstance(task, SuiteTask) else task


def suite_of(section: LanguageSection) -> Suite | None:
    """The suite that a section names, if it does.

    Raises:
        NammError: If there is none of this name, or its table has a mistake.
    """
    if section.suite is None:
        return None
    try:
        return find_suite(section.suite)
    except NammError as error:
        raise at("suite", error) from None


def _of_suite(section: LanguageSection) -> Mapping[str, SuiteTask]:
    suite = suite_of(section)
    if suite is None:
        return {}
    files = find_files(suite, section.data, section.subset).files
    return {
        label: SuiteTask(label, suite, file, max_prompt=section.max_prompt, chat=section.chat)
        for label, file in files.items()
    }
