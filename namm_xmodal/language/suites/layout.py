"""Files of a suite's tasks, in the folder that a person downloaded or on the Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.errors import ConfigError, DataError, UnknownNameError
from namm_xmodal.language.suites.hub import hub_folder, hub_place
from namm_xmodal.language.suites.rows import SUFFIXES
from namm_xmodal.language.suites.table import Suite
from namm_xmodal.trust.files import check_file

_SHOWN = 3


@dataclass(frozen=True)
class Found:
    """Attributes below.

    Attributes:
        files: Label of a task to its file.
        missing: Labels of tasks without one.
    """

    files: Mapping[str, Path]
    missing: tuple[str, ...]


def find_files(suite: Suite, data: str | None, subset: Sequence[str] | None) -> Found:
    """The file of each task that is asked for.

    Args:
        suite: The table.
        data: The folder; or one file, for a suite of one task; or `hub`, see `hub_place`.
        subset: Labels; all tasks of the suite if None, of which those without a file are left out.

    Raises:
        ConfigError: If no folder is given.
        DataError: If the folder does not exist, cannot be fetched or read, or lacks the files: all of the suite's, or that
            of a task in `subset`; or if something that is not a file has the name of one.
        UnknownNameError: If the suite has no such task.
    """
    if data is None:
        raise ConfigError(
            f"data: missing; {suite.name} is read from a folder that you have downloaded, with {suite.expected}: "
            f"--set language.data=FOLDER{', or language.data=hub to fetch it' if suite.hub else ''}"
        )
    for label in subset or ():
        if label not in suite.tasks:
            raise UnknownNameError("task", label, list(suite.tasks)).at("subset")
    if (place := hub_place(suite, data)) is not None:
        data = str(hub_folder(suite, place, list(subset or suite.tasks)))
    try:
        return _found(suite, data, subset)
    except OSError as error:  # a folder that one may not look into
        raise DataError(f"data: {data}: cannot be read ({error.strerror}); expected {suite.expected}") from None


def _found(suite: Suite, data: str, subset: Sequence[str] | None) -> Found:
    wanted, place = list(subset or suite.tasks), Path(data).expanduser()
    if place.is_file() and len(wanted) == 1:
        if place.suffix not in SUFFIXES:
            raise DataError(f"data: {data}: a file that ends in {place.suffix!r}, expected {', '.join(SUFFIXES)}")
        return Found({wanted[0]: place}, ())
    if place.is_file():
        raise DataError(f"data: {data}: a file, which holds one task; add subset with its name, or give the folder")
    if not place.is_dir():
        raise DataError(f"data: {data}: no such folder; expected {suite.name}, with {suite.expected}")
    files = {label: file for label in wanted if (file := _file(place, suite, label)) is not None}
    missing = tuple(label for label in wanted if label not in files)
    if not files:
        raise DataError(f"data: {data}: no file of {suite.name}; expected {suite.expected}; found {_listed(place)}")
    if subset and missing:
        names = " or ".join(pattern.replace("{task}", missing[0]) for pattern in suite.files)
        raise DataError(f"data: {data}: subset: {missing[0]} is not there; expected {names}, or leave it out of subset")
    return Found(files, missing)


def _file(folder: Path, suite: Suite, label: str) -> Path | None:
    odd: list[Path] = []
    for pattern in suite.files:
        there = sorted(folder.glob(pattern.replace("{task}", label)))
        found = [path for path in there if path.is_file()]
        if len(found) > 1:
            raise DataError(f"data: {folder}: {len(found)} files match {pattern} for {label}; expected one")
        if found:
            return found[0]
        odd += there
    for path in odd:  # a folder, or a pipe
        try:
            check_file(path, error=DataError, expected=f"a file with the items of {label}")
        except DataError as error:
            raise error.at("data") from None
    return None


def _listed(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}" if names else "nothing"
