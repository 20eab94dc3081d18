"""Untrusted zip archives, and numpy's files: members are measured before they are unpacked."""

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import NammError
from namm_xmodal.trust.files import MIB, check_file, read_bytes, refusing

_LARGEST_DIRECTORY = 4 * MIB
_PLAIN = "biufU"
"""Kinds of numbers and text that numpy's files may hold; objects would be pickles."""


class _Sparing(io.FileIO):
    """A file that gives no more at once than a sensible table of contents has: `zipfile` reads that in one piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"a table of contents of {size:,} bytes")
        return super().read(-1 if size is None else size) or b""


@contextmanager
def open_zip(path: Path, *, error: type[NammError], expected: str) -> Iterator[zipfile.ZipFile]:
    """A zip archive, for `read_member`; every error becomes one line.

    Args:
        path: The archive.
        error: What is raised.
        expected: What it should be, as "an archive of stable-baselines3".

    Raises:
        NammError: Of the type `error`.
    """
    check_file(path, error=error, expected=expected)
    with refusing(path, error=error, expected=expected), _Sparing(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """One file of an archive; nothing is written to disk.

    Args:
        archive: The archive.
        name: Of the member.
        most: Most bytes that it may have, unpacked.

    Raises:
        KeyError: If there is none of this name.
        ValueError: If it is larger.
    """
    size = archive.getinfo(name).file_size
    if size > most:
        raise ValueError(f"{name} has {size:,} bytes unpacked, expected at most {most:,}")
    pieces, left = [], most + 1
    with archive.open(name) as file:
        while left and (piece := file.read(min(MIB, left))):
            pieces.append(piece)
            left -= len(piece)
    if not left:
        raise ValueError(f"{name} unpacks to more than {most:,} bytes")
    return b"".join(pieces)


def read_npz(path: Path, *, error: type[NammError], expected: str, most: int = 128 * MIB) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz` file: numbers and text only, never objects.

    Args:
        path: The file.
        error: What is raised.
        expected: What it should be.
        most: Most bytes of all arrays together.

    Raises:
        NammError: Of the type `error`.
    """
    arrays, left = {}, most
    with open_zip(path, error=error, expected=expected) as archive:
        for name in archive.namelist():
            content = read_member(archive, name, left)
            left -= len(content)
            arrays[name.removesuffix(".npy")] = parse_npy(content)
    return arrays


def read_npy(path: Path, *, error: type[NammError], expected: str, most: int = 256 * MIB) -> NDArray[Any]:
    """The array of an `.npy` file; see `read_npz`."""
    content = read_bytes(path, error=error, expected=expected, most=most)
    with refusing(path, error=error, expected=expected):
        return parse_npy(content)


def parse_npy(content: bytes) -> NDArray[Any]:
    """The array in the bytes of an `.npy` file.

    Raises:
        ValueError: If they are none, hold objects, or are more or fewer than the header says.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, column_major, dtype = read_header(file)
    if dtype.kind not in _PLAIN:
        raise ValueError(f"an array of {dtype}, expected numbers or text")
    count, found = math.prod(shape), len(content) - file.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != found:
        raise ValueError(f"an array of shape {shape} in {found:,} bytes")
    array = np.frombuffer(content, dtype, count, file.tell()) if found else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if column_major else "C").copy()
