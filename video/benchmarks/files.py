"""Annotation files and videos of a benchmark's folder, with one sentence for what is missing."""

import csv
import os
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.trust.files import MIB, check_file
from namm_xmodal.trust.json_text import parse_json
from namm_xmodal.trust.parquet import parquet_rows

Row = dict[str, Any]
MOST = 32 * MIB
"""Bytes of a file of questions; the largest published one has 5 MB."""
VIDEO_SUFFIXES = (
    ".mp4",
    ".mkv",
    ".webm",
    ".avi",
    ".mov",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".flv",
    ".wmv",
    ".ogv",
    ".3gp",
)
_PART = re.compile(r"(.*)-\d+-of-0*(\d+)\.parquet")


def folder_of(data: str, benchmark: str) -> Path:
    """The folder of a benchmark.

    Raises:
        DataError: If it is absent or no folder.
    """
    folder = Path(data).expanduser()
    if not data or not folder.is_dir():
        raise DataError(f"data={data!r}: no such folder; expected the downloaded folder of {benchmark}")
    return folder


def first_existing(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The file of a folder that matches a pattern, patterns in order of preference; all its parts if it comes in parts.

    Raises:
        DataError: If a part is missing.
    """
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not found:
            continue
        part = _PART.fullmatch(found[0].name)
        if part is None:
            return found[:1]
        parts = [path for path in found if path.name.startswith(f"{part[1]}-") and path.parent == found[0].parent]
        if len(parts) != int(part[2]):
            raise DataError(f"{found[0]}: only {len(parts)} of {int(part[2])} parts exist; download the others")
        return parts
    return []


def read_rows(path: Path) -> list[Any]:
    """Rows of a JSON list, CSV or parquet file; field names without spaces around them.

    Raises:
        DataError: If the file is damaged, empty or holds something else.
        MissingDependencyError: If parquet cannot be read here.
    """
    check_file(path, error=DataError, expected="the questions of a benchmark", most=MOST)
    try:
        if path.suffix == ".parquet":
            rows: Any = parquet_rows(path, MOST)
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
        else:
            rows = read_json(path)
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's own errors are ValueError and OSError
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]}); download it again") from None
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: expected a list of questions, found {'none' if rows == [] else type(rows).__name__}")
    return [{str(name).strip(): value for name, value in row.items()} if isinstance(row, dict) else row for row in rows]


def read_json(path: Path) -> Any:
    """What a JSON file holds, with or without a byte order mark.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not JSON.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    if path.stat().st_size > MOST:
        raise ValueError(f"it has more than {MOST:,} bytes")
    return parse_json(path.read_text(encoding="utf-8-sig"))


def inside(folder: Path, name: str) -> Path:
    """A file that an annotation names, which must lie in the folder.

    Raises:
        ItemError: If the name is empty, absolute, leads out of the folder, or cannot be a file's.
    """
    place = PurePosixPath(name.strip().replace("\\", "/"))
    odd = ".." in place.parts or "\0" in name or any(len(part.encode()) > 255 for part in place.parts)
    if odd or place.is_absolute() or not place.parts:
        raise ItemError(f"names the file {name[:60]!r}: expected one inside the benchmark's folder")
    return folder / place


class VideoFolder:
    """Videos in the folders of a benchmark, found by the names that its questions give, with or without suffix."""

    def __init__(self, folders: Sequence[Path], whole: Sequence[Path] | None = None) -> None:
        """Names the folders.

        Args:
            folders: In order of preference; the first is where a video is missed that is in none.
            whole: Those whose subfolders are searched too; all if None.
        """
        self._folders, self._whole = tuple(folders), tuple(folders if whole is None else whole)

    def find(self, name: str) -> Path:
        """The video, in one of the folders or anywhere below; a path that does not exist if there is none.

        Raises:
            ItemError: If several files below the folders have that name, or it leads out of them.
        """
        for folder in self._folders:
            exact = inside(folder, name)
            if exact.suffix.lower() in VIDEO_SUFFIXES and _is_file(exact):
                return exact
            for suffix in VIDEO_SUFFIXES:
                guess = exact.with_name(exact.name + suffix)
                if _is_file(guess):
                    return guess
        first = inside(self._folders[0], name)
        below = self._below.get(_as_listed(first.name), [])
        if len(below) > 1:
            raise ItemError(f"its video {first.name!r} exists twice, as {below[0]} and {below[1]}; remove one")
        if below:
            return below[0]
        return first if first.suffix.lower() in VIDEO_SUFFIXES else first.with_name(f"{first.name}.mp4")

    @cached_property
    def _below(self) -> dict[str, list[Path]]:
        """Name, and name without suffix, of each video below the folders."""
        found: dict[str, list[Path]] = {}
        for folder in self._whole:
            for place, _, names in os.walk(folder):
                for path in (Path(place, name) for name in sorted(names)):
                    stem, suffix = os.path.splitext(_as_listed(path.name))
                    for key in (stem, stem + suffix) if suffix in VIDEO_SUFFIXES else ():
                        if path not in found.setdefault(key, []):
                            found[key].append(path)
        return found


def _as_listed(name: str) -> str:
    """Without spaces around it, the suffix in small letters; names themselves differ by case, YouTube's do."""
    stem, suffix = os.path.splitext(name.strip())
    return stem + suffix.lower()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system takes
        return False
