"""Annotation files and videos of a benchmark's folder, with one sentence for what is missing."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError, MissingDependencyError
from namm_xmodal.trust.files import MIB, check_file
from namm_xmodal.trust.json_text import parse_json

Row = dict[str, Any]
MOST = 32 * MIB
"""Bytes of a file of questions; the largest published one has 5 MB."""
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".MP4")


def folder_of(data: str, benchmark: str) -> Path:
    """The folder of a benchmark.

    Raises:
        DataError: If it is absent or no folder.
    """
    folder = Path(data).expanduser()
    if not data or not folder.is_dir():
        raise DataError(f"data={data!r}: no such folder; expected the downloaded folder of {benchmark}")
    return folder


def first_existing(folder: Path, patterns: Iterable[str]) -> Path | None:
    """The first file of a folder that matches a pattern, patterns in order of preference."""
    for pattern in patterns:
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    return None


def read_rows(path: Path) -> list[Row]:
    """Rows of a JSON list, JSON lines, CSV or parquet file.

    Raises:
        DataError: If the file is damaged or holds something else.
        MissingDependencyError: If parquet cannot be read here.
    """
    check_file(path, error=DataError, expected="the questions of a benchmark", most=MOST)
    try:
        if path.suffix == ".parquet":
            try:
                from pyarrow import parquet
            except ImportError:
                raise MissingDependencyError("reading parquet files", "video") from None
            rows: Any = _parquet_rows(parquet.ParquetFile(path))
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
        elif path.suffix == ".jsonl":
            rows = [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        else:
            rows = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's own errors are ValueError and OSError
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]}); download it again") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: expected a list of questions, found {type(rows).__name__}")
    return rows


def _parquet_rows(file: Any) -> list[Row]:
    """A few rows at a time: a file of a megabyte may stand for terabytes of repeated text."""
    rows: list[Row] = []
    left = MOST
    for batch in file.iter_batches(batch_size=16):
        left -= batch.nbytes
        if left < 0:
            raise ValueError(f"more than {MOST:,} bytes, unpacked")
        rows += batch.to_pylist()
    return rows


def fields_of(row: Row, names: Iterable[str], path: Path, number: int) -> list[Any]:
    """Values of required fields.

    Raises:
        DataError: If one is missing.
    """
    wanted = list(names)
    missing = [name for name in wanted if row.get(name) is None]
    if missing:
        raise DataError(
            f"{path}: question {number} lacks {', '.join(missing)}; is it another release of the benchmark?"
        )
    return [row[name] for name in wanted]


def find_video(folders: Iterable[Path], name: str) -> Path:
    """A video by name, with or without suffix, in the first folder that has it; the first guess if none has."""
    guesses = []
    for folder in folders:
        guesses.append(folder / name)
        if not name.lower().endswith(VIDEO_SUFFIXES):
            guesses[-1:] = [folder / f"{name}{suffix}" for suffix in VIDEO_SUFFIXES]
    return next((guess for guess in guesses if guess.exists()), guesses[0])
