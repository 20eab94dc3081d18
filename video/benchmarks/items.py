"""Turns rows of annotation files into questions; an unusable row is reported and never ends the run."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.video.benchmarks.answers import absent, as_text, shortened
from namm_xmodal.video.benchmarks.files import Row, read_rows
from namm_xmodal.video.benchmarks.question import VideoQuestion


def read_items(
    paths: Iterable[Path],
    name: Callable[[Row, Path, int], str],
    read: Callable[[Row, Path, str], VideoQuestion | None],
    *,
    benchmark: str,
    fields: Sequence[str],
    kind: Callable[[Row], Any],
    keyed: bool,
) -> list[VideoQuestion]:
    """All questions of some files; those that cannot be asked say why in `problem`.

    Args:
        paths: Annotation files.
        name: Id of a row, of which file, with which number.
        read: Makes the question of a row with an id; None leaves it out. Raises `ItemError` where it cannot.
        benchmark: As it is called in messages.
        fields: What every row has; `a|b` is either. A file of which each row lacks several is another benchmark's.
        kind: Type of a row's question, under which it is counted if it is skipped.
        keyed: Whether the right answers are published.

    Raises:
        DataError: If a file is damaged or another benchmark's, or no question can be asked.
    """
    found: list[VideoQuestion] = []
    seen: dict[str, str] = {}
    expected = f"expected {benchmark}'s questions, with {', '.join(fields).replace('|', ' or ')}"
    for path in paths:
        rows = read_rows(path)
        missing = [_missing(row, fields) for row in rows]
        if min(map(len, missing)) > 1:
            raise DataError(f"{path}: question 0 lacks {', '.join(missing[0])}; {expected}")
        for number, row in enumerate(rows):
            place, key = f"{path.name}, question {number}", ""
            try:
                if missing[number]:
                    raise ItemError(f"lacks {', '.join(missing[number])}")
                key = name(row, path, number)
                question = read(row, path, key)
                if question is not None and key in seen:
                    raise ItemError(f"has the id {key!r} of {seen[key]}")
            except ItemError as error:
                question = VideoQuestion(
                    id=place if not key or key in seen else key,
                    video=None,
                    question="",
                    options=(),
                    answer=None,
                    kind=_kind(row, kind),
                    problem=f"{place}: {error}",
                    keyed=keyed,
                )
            if question is not None:
                seen.setdefault(question.id, place)
                found.append(question)
    if found and all(question.problem for question in found):
        raise DataError(f"none of {len(found)} questions is usable ({found[0].problem}); {expected}")
    return found


def texts_of(row: Row, names: Iterable[str]) -> list[str]:
    """Values of fields, as text without spaces around it.

    Raises:
        ItemError: If one is not text.
    """
    return [as_text(row[name], name).strip() for name in names]


def label_of(row: Row, name: str) -> str:
    """An optional label, as text; empty if it is absent.

    Raises:
        ItemError: If it is not text.
    """
    return "" if absent(row.get(name)) else as_text(row[name], name).strip()


def number_of(row: Row, name: str) -> float:
    """A number that is finite and not negative; 0 if the field is absent.

    Raises:
        ItemError: If it is anything else.
    """
    value = row.get(name)
    try:
        number = 0.0 if absent(value) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise ItemError(f"{name} is {shortened(value)}: expected a finite number of at least 0")
    return number


def numbered(row: Row, form: str, padding: str = "") -> list[Any]:
    """Options that stand in columns of their own, `form` with 0, 1, ... in it; empty and padded ones end the list.

    Raises:
        ItemError: If one follows after a gap.
    """
    values = [row.get(form.format(at)) for at in range(len(row) + 1)]
    there = [not absent(value) and not (padding and value == padding) for value in values]
    count = there.index(False)
    if any(there[count:]):
        raise ItemError(f"lacks {form.format(count)}, but has {form.format(there.index(True, count))}")
    return values[:count]


def _missing(row: Any, fields: Sequence[str]) -> list[str]:
    if not isinstance(row, dict):
        return list(fields)
    return [field.replace("|", " or ") for field in fields if all(absent(row.get(name)) for name in field.split("|"))]


def _kind(row: Any, kind: Callable[[Row], Any]) -> str:
    """The type of a question with a problem, if that can be read."""
    try:
        return as_text(kind(row), "kind") if isinstance(row, dict) else ""
    except ItemError:
        return ""
