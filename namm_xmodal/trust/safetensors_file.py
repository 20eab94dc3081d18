"""Untrusted safetensors: the header is measured before the library reads it, and every file before it is loaded."""

import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from namm_xmodal.errors import NammError
from namm_xmodal.trust.files import MIB, check_file, refusing
from namm_xmodal.trust.json_text import parse_json

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST_HEADER = 16 * MIB


def safetensors_shapes(
    path: Path, *, error: type[NammError], expected: str, most: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a file, from its header.

    Args:
        path: The file.
        error: What is raised.
        expected: What it should be.
        most: Most bytes that it may have.

    Raises:
        NammError: Of the type `error`, if it cannot be read, is larger, or has a header of more than 16 MiB.
    """
    check_file(path, error=error, expected=expected, most=most)
    with refusing(path, error=error, expected=expected), path.open("rb") as file:
        begin = file.read(8)
        if len(begin) < 8:
            raise ValueError("it has no header")
        (size,) = struct.unpack("<Q", begin)
        if not 0 < size <= _LARGEST_HEADER:
            raise ValueError(f"a header of {size:,} bytes")
        header: dict[str, Any] = parse_json(file.read(size))
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
        if not all(isinstance(size, int) and size >= 0 for shape in shapes.values() for size in shape):
            raise ValueError("a shape of other things than numbers")
        return shapes


def read_safetensors(path: Path, *, error: type[NammError], expected: str, most: int) -> "dict[str, Tensor]":
    """All tensors of a file; see `safetensors_shapes`."""
    from safetensors.torch import load_file

    safetensors_shapes(path, error=error, expected=expected, most=most)
    with refusing(path, error=error, expected=expected):
        return load_file(path)


def count_numbers(shapes: dict[str, tuple[int, ...]]) -> int:
    """Numbers in all tensors together."""
    return sum(math.prod(shape) for shape in shapes.values())
