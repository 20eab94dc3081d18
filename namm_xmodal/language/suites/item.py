"""From an item of a file to what is read before the question, the question, and what is right."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.language.metrics import METRICS
from namm_xmodal.language.suites.table import OPTIONS, Suite, Tag, TaskForm

_REACHABLE = {"letter": "[A-D]", "first_integer": "[0-9]+"}
"""References that a metric can find in an answer, as regular expressions, where it cannot find others."""


@dataclass(frozen=True)
class Asked:
    """An item as it is asked.

    Attributes:
        context: All up to the end of the long part, which a streaming schedule reads before the question is known.
        question: What follows.
        answers: What is right, as it stands in the file; any of them will do.
        classes: All labels; empty if the suite has none.
        tags: What scores are also shown by, and the item's id.
    """

    context: str
    question: str
    answers: tuple[str, ...]
    classes: tuple[str, ...]
    tags: Mapping[str, str | int | float]


def ask(row: Mapping[str, Any], suite: Suite, form: TaskForm) -> Asked:
    """Fills the prompt of a task.

    Args:
        row: The item.
        suite: Says what its fields mean.
        form: The task.

    Raises:
        ItemError: If a field is missing or of another kind.
    """
    before: list[str] = []
    after: list[str] = []
    part = before
    for literal, name, _, _ in Formatter().parse(form.prompt):
        part.append(literal)
        if name is not None:
            part.append(_value(name, row, suite, form))
            part = after if name == "context" else part
    if not _text(row, "context", suite).strip():
        raise ItemError("context is empty")
    answers = _answers(row, suite, form)
    classes = _labels(row, suite.classes) if suite.classes else ()
    _check_scored(form, answers, classes)
    tags: dict[str, str | int | float] = {name: _tag(row, tag) for name, tag in suite.tags.items()}
    if suite.id and isinstance(row.get(suite.id), str | int):
        tags["id"] = str(row[suite.id])
    return Asked("".join(before), "".join(after), answers, classes, tags)


def _value(name: str, row: Mapping[str, Any], suite: Suite, form: TaskForm) -> str:
    if name in form.find:
        find = form.find[name]
        found = re.search(find.pattern, _text(row, find.field, suite))
        if found is None:
            raise ItemError(f"{find.field} holds nothing like {find.pattern!r}")
        return found[1].lower() if find.lower else found[1]
    if suite.options and (letter := re.fullmatch(f"OPTION_([{OPTIONS}])", name)):
        options, place = _options(row, suite), OPTIONS.index(letter[1])
        if place >= len(options):
            raise ItemError(f"{suite.options} has {len(options)} options, expected {place + 1} or more")
        return options[place]
    return _text(row, name, suite)


def _text(row: Mapping[str, Any], name: str, suite: Suite) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise ItemError(
            f"lacks {name}" if value is None else f"{name} is of type {type(value).__name__}, expected a text"
        )
    return value.strip() if suite.strip else value


def _options(row: Mapping[str, Any], suite: Suite) -> list[str]:
    value = row.get(suite.options)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ItemError(f"{suite.options} is {str(value)[:60]}, expected a list of texts")
    return value


def _answers(row: Mapping[str, Any], suite: Suite, form: TaskForm) -> tuple[str, ...]:
    value = row.get(suite.answer)
    given = value if isinstance(value, list) else [value]
    if value is None or not given or not all(isinstance(each, str | int | float) for each in given):
        raise ItemError(f"{suite.answer} is {str(value)[:60]}, expected a text, a number or a list of them")
    if form.whole:
        return (json.dumps(given, ensure_ascii=False),)
    # An empty reference could be scored by nothing; some published items have one beside others.
    found = [text for each in given if (text := str(each)).strip()]
    if not found:
        raise ItemError(f"{suite.answer} is empty")
    if form.letter:
        options = _options(row, suite)
        if found[0] not in options:
            raise ItemError(f"{suite.answer} {found[0][:60]!r} is none of its {suite.options}")
        found = [found[0], OPTIONS[options.index(found[0])]]
    return tuple(dict.fromkeys(found))


def _check_scored(form: TaskForm, answers: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Tries the metrics on an answer of nothing, so that a reference that one cannot read is found before anything runs."""
    for name in form.metrics:
        metric = METRICS[name]
        try:
            if metric.of_classes is not None:
                metric.of_classes("", answers, classes)
            elif metric.of_text is not None:
                metric.of_text("", answers)
        except DataError as error:
            raise ItemError(str(error)) from None
        # What no answer can reach would count as wrong for every policy, and nobody would see why.
        if name == "classification" and not set(answers) & set(classes):
            raise ItemError(f"answer {answers[0][:40]!r} is none of its labels, {', '.join(classes)[:60]}")
        if name in _REACHABLE and not any(re.fullmatch(_REACHABLE[name], each) for each in answers):
            raise ItemError(f"answer {answers[0][:40]!r}: {name} can find none such; expected {_REACHABLE[name]}")


def _labels(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ItemError(f"{name} is {str(value)[:60]}, expected a list of texts, or null")
    return tuple(value)


def _tag(row: Mapping[str, Any], tag: Tag) -> str:
    value = row.get(tag.field)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if not tag.edges or isinstance(value, str):
        return str(value)
    ends = [_short(edge) for edge in tag.edges]
    place = sum(value >= edge for edge in tag.edges)
    return f"{ends[-1]}+" if place == len(ends) else f"{['0', *ends][place].removesuffix('k')}-{ends[place]}"


def _short(number: int) -> str:
    return f"{number // 1000}k" if number % 1000 == 0 else str(number)
