"""Your own texts: a `.txt` file, a `.jsonl` file with a `text` in each line, or a folder of either."""

from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError
from namm_xmodal.language.document import Document
from namm_xmodal.trust.files import check_file
from namm_xmodal.trust.json_text import check_characters, parse_json

SUFFIXES = (".txt", ".md", ".jsonl")
MOST_BYTES = 256 * 1024 * 1024
"""Of one file: more is not read, since all texts of a source are held in memory."""


def is_path(name: str) -> bool:
    """Whether the name of a text source is meant as a file or folder."""
    place = Path(name).expanduser()
    named = name.endswith(SUFFIXES) or "/" in name or "\\" in name or place.is_dir()
    return named or (place.suffix != "" and place.is_file())


def find_place(name: str) -> Path:
    """The file or folder, not read yet.

    Raises:
        DataError: If there is none, or the file is of another kind.
    """
    place, expected = Path(name).expanduser(), f"expected {', '.join(SUFFIXES)} or a folder of them"
    if not place.exists():
        raise DataError(f"texts: {name}: no such file or folder; {expected}")
    if place.is_file() and place.suffix not in SUFFIXES:
        raise DataError(
            f"texts: {name}: a file with the suffix {place.suffix or 'none'}; {expected}, so convert it first"
        )
    return place


def own_texts(name: str) -> list[Document]:
    """All documents of a file or folder, in the order of their names.

    Args:
        name: A path.

    Raises:
        DataError: If there is nothing to read; names file and line.
    """
    place = find_place(name)
    paths = sorted(each for each in place.rglob("*") if each.suffix in SUFFIXES) if place.is_dir() else [place]
    found = _read(place, tuple(paths), tuple(path.stat().st_mtime_ns for path in paths))
    if not found:
        raise DataError(f"texts: {name}: contains no text; expected files that end in {', '.join(SUFFIXES)}")
    return list(found)


def read_lines(
    path: Path, needed: tuple[str, ...], texts: tuple[str, ...] = (), known: tuple[str, ...] = ()
) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects of a `.jsonl` file, with their line numbers.

    Args:
        path: The file.
        needed: Fields that every line must have.
        texts: Fields that are texts where they are given.
        known: All fields that a line may have; any if empty.

    Raises:
        DataError: If a line is no object, lacks a field, has an unknown one, one twice, or another kind of value; names
            file and line.
    """
    found = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):  # JSON may hold other line separators
        if not line.strip():
            continue
        try:
            row = parse_json(line, unique=True)
            check_characters(line, row)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not a JSON object ({error}); expected one on each line") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: not a JSON object; expected one on each line")
        unknown = [name for name in row if known and name not in known]
        if unknown:
            near = get_close_matches(unknown[0], known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise DataError(f"{path}:{number}: {unknown[0]}: unknown field; {hint}")
        missing = [name for name in needed if row.get(name) in (None, "", [])]
        if missing:
            raise DataError(f"{path}:{number}: lacks {', '.join(missing)}; expected {', '.join(needed)} on each line")
        for name in texts:
            if not isinstance(row.get(name, ""), str):
                raise DataError(f"{path}:{number}: {name} is of type {type(row[name]).__name__}, expected a text")
        found.append((number, row))
    if not found:
        raise DataError(f"{path}: contains no lines; expected a JSON object on each line")
    return found


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        DataError: If it is absent, no text file, or too large.
    """
    check_file(path, error=DataError, expected="a text file")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes, expected at most {MOST_BYTES:,}; split it")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; convert it first") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected a text file") from None


@lru_cache(maxsize=4)  # every sample of a task asks for the texts again
def _read(place: Path, paths: tuple[Path, ...], _changed: tuple[int, ...]) -> tuple[Document, ...]:
    return tuple(document for path in paths for document in _documents(path, place))


def _documents(path: Path, place: Path) -> list[Document]:
    name = path.name if path == place else path.relative_to(place).as_posix()
    if path.suffix != ".jsonl":
        text = read_text(path)
        return [Document(name, text, str(place), "your own")] if text.strip() else []
    lines = read_lines(path, ("text",), texts=("text",))
    return [Document(f"{name}:{number}", row["text"], str(place), "your own") for number, row in lines]
