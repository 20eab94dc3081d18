"""Untrusted HDF5: only what lies in the file itself, and only plain numbers of a size that the file can account for."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import NammError
from namm_xmodal.extras import need
from namm_xmodal.trust.files import MIB, check_file, refusing

_FREE = 256 * MIB
"""Bytes that the arrays of a small file may have in memory; a compressed zero takes a thousandth of that on the disk."""
_TIMES = 4
"""A larger file may unpack to so many times its own size."""
_LARGEST_CHUNK = 64 * MIB
_FILTERS = (1, 2, 3, 5, 6, 32000)
"""Deflate, shuffle, checksum, n-bit, scale-offset and LZF come with h5py; others would be loaded as plug-ins."""
_MOST_OBJECTS = 1_000_000


@contextmanager
def open_hdf5(path: Path, *, error: type[NammError], expected: str) -> "Iterator[Hdf5File]":
    """An HDF5 file, to read arrays from; every error becomes one line.

    Args:
        path: The file.
        error: What is raised.
        expected: What it should be, as "an HDF5 file of D4RL".

    Raises:
        NammError: Of the type `error`.
        MissingDependencyError: If h5py is not installed.
    """
    h5py = need("h5py", "reading HDF5")
    check_file(path, error=error, expected=expected)
    with refusing(path, error=error, expected=expected), h5py.File(path, "r") as file:
        yield Hdf5File(file, max(_FREE, _TIMES * path.stat().st_size))


class Hdf5File:
    """The arrays of an open file.

    Attributes:
        file: As h5py has it.
        left: Bytes that may still be unpacked.
    """

    def __init__(self, file: Any, most: int) -> None:
        """Takes an open file; its arrays may have `most` bytes together."""
        self.file, self.left = file, most

    def __contains__(self, name: str) -> bool:
        """Whether there is anything of this name."""
        return self.file.get(name, getlink=True, default=None) is not None

    def array(self, name: str) -> NDArray[Any]:
        """A whole array of numbers.

        Args:
            name: In the file, with slashes.

        Raises:
            KeyError: If there is none.
            ValueError: If it lies in another file, is not an array of numbers, or is larger than the file accounts for.
        """
        place = self.file
        for part in name.split("/"):
            if not hasattr(place, "keys"):
                raise ValueError(f"{name} is not a group")
            _check_link(place, part)
            place = place[part]
        self.check(place, name)
        values: NDArray[Any] = np.asarray(place[()])
        return values

    def check(self, dataset: Any, name: str, kinds: str = "biuf") -> None:
        """Refuses an array before it is read, and counts it.

        Raises:
            ValueError: See `array`.
        """
        import h5py

        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"{name} is not an array")
        if dataset.is_virtual or dataset.external:
            raise ValueError(f"{name} lies in another file")
        if dataset.dtype.kind not in kinds or dataset.shape is None:
            raise ValueError(f"{name} is of {dataset.dtype}, expected numbers")
        properties = dataset.id.get_create_plist()
        for number in range(properties.get_nfilters()):
            if properties.get_filter(number)[0] not in _FILTERS:
                raise ValueError(f"{name} is packed by a filter that does not come with h5py")
        if dataset.chunks is not None and math.prod(dataset.chunks) * dataset.dtype.itemsize > _LARGEST_CHUNK:
            raise ValueError(f"{name} is stored in pieces of {dataset.chunks}")
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        if size > self.left:
            raise ValueError(f"{name} of shape {dataset.shape} is larger than a file of this size accounts for")
        self.left -= size


def check_hdf5(path: Path, *, error: type[NammError], expected: str) -> None:
    """Refuses a file that another library is about to read: all of it is checked as `Hdf5File.array` does it.

    Text of fixed length may be in it. Text and pictures of any length may not: each entry of an array can stand for the
    same megabytes.

    Args:
        path: The file.
        error: What is raised.
        expected: What it should be.

    Raises:
        NammError: Of the type `error`.
    """
    import h5py

    with open_hdf5(path, error=error, expected=expected) as inside:
        groups, seen = [inside.file], 0
        while groups:
            group = groups.pop()
            for name in group:
                seen += 1
                if seen > _MOST_OBJECTS:
                    raise ValueError(f"more than {_MOST_OBJECTS:,} names")
                _check_link(group, name)
                each = group[name]
                if isinstance(each, h5py.Group):
                    groups.append(each)
                else:
                    inside.check(each, f"{group.name}/{name}", "biufS")


def _check_link(group: Any, name: str) -> None:
    import h5py

    link = group.get(name, getlink=True, default=None)
    if link is None:
        raise KeyError(name)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{name} is a link to another place")
