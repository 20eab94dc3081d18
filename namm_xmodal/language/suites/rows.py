"""Items of a file, one at a time: files of suites have hundreds of megabytes, so what is kept is where each item stands."""

import codecs
import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.trust.files import MIB, check_file
from namm_xmodal.trust.json_text import check_characters, parse_json
from namm_xmodal.trust.parquet import parquet_rows

MOST = 256 * MIB
"""Bytes of one item, and of all rows of a parquet file; the longest published item has about 20 MB."""
SUFFIXES = (".jsonl", ".json", ".parquet")
_CHUNK = 4 * MIB


@dataclass(frozen=True)
class Span:
    """Where an item stands.

    Attributes:
        number: Of its line, or of the item in a list, from 1.
        start: First byte; of a parquet file, the number of the row.
        length: Bytes.
    """

    number: int
    start: int
    length: int = 0


def index_rows(path: Path) -> tuple[Span, ...]:
    """Where the items of a file stand, in its order; items are not looked into.

    Args:
        path: A `.jsonl` file, a `.json` file with a list, or a `.parquet` file.

    Raises:
        DataError: If it cannot be read, or has no items.
        MissingDependencyError: If parquet cannot be read here.
    """
    check_file(path, error=DataError, expected="the items of a task")
    found = _index(path, path.stat().st_mtime_ns)
    if not found:
        raise DataError(f"{path}: no items in it; expected a JSON object on each line")
    return found


def read_row(path: Path, span: Span) -> dict[str, Any]:
    """One item.

    Raises:
        ItemError: If it is not a JSON object; names file and line.
        DataError: If the file cannot be read any more.
    """
    try:
        if path.suffix == ".parquet":
            return _parquet(path, path.stat().st_mtime_ns)[span.start]
        with path.open("rb") as file:
            file.seek(span.start)
            content = file.read(span.length)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        text = content.decode("utf-8-sig")
        row = parse_json(text, unique=True)
        check_characters(text, row)
    except (ValueError, RecursionError) as error:
        raise ItemError(f"{path}:{span.number}: not a JSON object ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(row, dict):
        raise ItemError(f"{path}:{span.number}: a {type(row).__name__}, expected a JSON object")
    return row


@lru_cache(maxsize=64)
def first_with_context(path: Path, changed: int) -> tuple[int, ...]:
    """For each item of a file, the number of the first one with the same `context`; a broken item is its own.

    Args:
        path: As of `index_rows`.
        changed: When the file was written, so that what is remembered of another state is not used.
    """
    firsts: dict[bytes, int] = {}
    found = []
    for number, span in enumerate(index_rows(path)):
        try:
            context = str(read_row(path, span).get("context"))
        except ItemError:
            found.append(number)
            continue
        found.append(firsts.setdefault(sha256(context.encode("utf-8", "surrogatepass")).digest(), number))
    return tuple(found)


@lru_cache(maxsize=64)
def _index(path: Path, changed: int) -> tuple[Span, ...]:
    try:
        if path.suffix == ".parquet":
            return tuple(Span(row + 1, row) for row in range(len(_parquet(path, changed))))
        return tuple(_items_of_list(path) if path.suffix == ".json" else _lines(path))
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path}: cannot be read ({reason}); download it again") from None


def _unreadable(path: Path, error: OSError) -> DataError:
    reason = error.strerror or " ".join(str(error).split())[:120]
    return DataError(f"{path}: cannot be read ({reason}); expected the items of a task")


def _lines(path: Path) -> list[Span]:
    found: list[Span] = []
    start = number = 0
    with path.open("rb") as file:
        while line := file.readline(MOST + 1):
            number += 1
            if len(line) > MOST:
                raise ValueError(f"line {number} has more than {MOST:,} bytes")
            if line.strip() not in (b"", codecs.BOM_UTF8):
                found.append(Span(number, start, len(line)))
            start += len(line)
    return found


def _items_of_list(path: Path) -> list[Span]:
    """The items of a JSON list, read piece by piece: LongBench v2 is one list of 465 MB."""
    found: list[Span] = []
    reader = json.JSONDecoder()
    with path.open("rb") as file:
        decode = codecs.getincrementaldecoder("utf-8")()
        text, base, ended, opened = "", 0, False, False  # base: byte of the file at which text starts
        while True:
            rest = text.lstrip("\ufeff \t\r\n," if opened else "\ufeff \t\r\n")
            base += len(text[: len(text) - len(rest)].encode())
            text = rest
            if not opened and text:
                if text[0] != "[":
                    raise ValueError("not a JSON list")
                text, base, opened = text[1:], base + 1, True
                continue
            if opened and text.startswith("]"):
                return found
            try:
                if not text:
                    raise ValueError("ends within the list")
                _, end = reader.raw_decode(text)
            except (ValueError, RecursionError) as error:
                if ended or len(text) > MOST:
                    raise ValueError(f"item {len(found) + 1}: {error}") from None
                piece = file.read(max(_CHUNK, len(text)))
                text, ended = text + decode.decode(piece, final=not piece), not piece
                continue
            size = len(text[:end].encode())
            found.append(Span(len(found) + 1, base, size))
            text, base = text[end:], base + size


@lru_cache(maxsize=4)
def _parquet(path: Path, _changed: int) -> list[dict[str, Any]]:
    return parquet_rows(path, MOST)
