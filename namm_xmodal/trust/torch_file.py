"""Files of `torch.save`, read without torch's unpickler: names and tensors, nothing else."""

import io
import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import NammError
from namm_xmodal.trust.archive import open_zip, read_member
from namm_xmodal.trust.files import MIB, check_file, refusing
from namm_xmodal.trust.pickled import Asked, Named, read_pickle

_ALLOWED = ("torch.", "collections.OrderedDict", "numpy.", "_codecs.encode")
_STORAGES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How files begin that torch wrote before version 1.6: the pickle of a magic number."""
_PICKLE = 64 * MIB

Wanted = Callable[[str], bool]


def read_tensors(
    source: Path | bytes,
    *,
    error: type[NammError],
    expected: str,
    name: str = "",
    inside: str | None = None,
    wanted: Wanted = lambda name: True,
    most: int = 512 * MIB,
) -> dict[str, Tensor]:
    """The tensors of a dictionary of tensors; other values of the dictionary are left out.

    Args:
        source: The file, or its bytes.
        error: What is raised.
        expected: What it should be, as "a tensor archive".
        name: Of the bytes, for messages.
        inside: The key whose dictionary is meant, if the file has it; else the file's own.
        wanted: Which names to read; the others' numbers stay on the disk.
        most: Most bytes of all tensors together.

    Raises:
        NammError: Of the type `error`, if it cannot be read, names code, or is larger.
    """
    place = name or str(source)
    if isinstance(source, Path):
        check_file(source, error=error, expected=expected)
    with refusing(place, error=error, expected=expected):
        if _is_legacy(source):
            return _read_legacy(source, inside, wanted, most)
        if isinstance(source, bytes):
            with zipfile.ZipFile(io.BytesIO(source)) as archive:
                return _read_zip(archive, inside, wanted, most)
    with open_zip(source, error=error, expected=expected) as archive:
        return _read_zip(archive, inside, wanted, most)


def _is_legacy(source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        return source.startswith(_LEGACY)
    with source.open("rb") as file:
        return file.read(len(_LEGACY)) == _LEGACY


def _read_zip(archive: zipfile.ZipFile, inside: str | None, wanted: Wanted, most: int) -> dict[str, Tensor]:
    pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("not a file of torch.save: no data.pkl in it")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and read_member(archive, f"{folder}byteorder", 16) != b"little":
        raise ValueError("written on a machine of another byte order")
    content = read_pickle(io.BytesIO(read_member(archive, pickles[0], _PICKLE)), _ALLOWED)
    storages: dict[str, bytes] = {}

    def storage(key: str, size: int) -> bytes:
        if key not in storages:
            storages[key] = read_member(archive, f"{folder}data/{key}", size)
        return storages[key]

    return _tensors(content, inside, wanted, storage, most)


def _read_legacy(source: Path | bytes, inside: str | None, wanted: Wanted, most: int) -> dict[str, Tensor]:
    """Five pickles (magic number, version, machine, content, keys of storages), then each storage: count and numbers."""
    outside: list[Any] = []
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        _, _, _, content, keys = (read_pickle(file, _ALLOWED, outside) for _ in range(5))
        widths = {key[2]: _type_of(key).itemsize for key in outside}
        stored: dict[str, bytes] = {}
        left = most
        for key in keys:
            (count,) = struct.unpack("<q", file.read(8))
            size = count * widths[key]
            if not 0 <= size <= left:
                raise ValueError(f"a storage of {count:,} numbers")
            left -= size
            stored[key] = file.read(size)
    return _tensors(content, inside, wanted, lambda key, size: stored[key], most)


def _tensors(
    content: Any, inside: str | None, wanted: Wanted, storage: Callable[[str, int], bytes], most: int
) -> dict[str, Tensor]:
    entries = _entries(content)
    if inside in entries:
        entries = _entries(entries[inside])
    flat: dict[str, Tensor] = {}  # storages, as vectors
    found: dict[str, Tensor] = {}
    for name, value in entries.items():
        if not isinstance(name, str) or not isinstance(value, Asked) or not wanted(name):
            continue
        if value.name in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
            value = value.arguments[0]
        if not value.name.startswith("torch."):
            continue
        if value.name != "torch._utils._rebuild_tensor_v2":
            raise ValueError(f"{name} has an unsupported type ({value.name})")
        outside, offset, shape, stride = value.arguments[:4]
        dtype, key, count = _type_of(outside.key), outside.key[2], outside.key[4]
        if not all(isinstance(each, int) and each >= 0 for each in (count, offset, *shape, *stride)):
            raise ValueError(f"{name} has a shape of other things than numbers")
        end = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) + 1
        most -= math.prod(shape) * dtype.itemsize
        if 0 in shape:
            found[name] = torch.empty(shape, dtype=dtype)
            continue
        if end > count or math.prod(shape) > count or most < 0:
            raise ValueError(f"{name} of shape {tuple(shape)} is larger than its stored data, or than the limit")
        if key not in flat:
            numbers = bytearray(storage(key, count * dtype.itemsize))
            if len(numbers) != count * dtype.itemsize:
                raise ValueError(f"{name} lacks some of its numbers")
            flat[key] = torch.frombuffer(numbers, dtype=dtype)
        found[name] = flat[key].as_strided(shape, stride, offset)
    return found


def _entries(value: Any) -> dict[Any, Any]:
    """The entries of a dictionary, ordered or not."""
    if isinstance(value, Asked) and value.name == "collections.OrderedDict":
        return value.items
    if not isinstance(value, dict):
        raise ValueError("no dictionary of tensors")
    return value


def _type_of(key: Any) -> torch.dtype:
    """Of a storage that torch refers to as ("storage", its class, key, device, count)."""
    name = key[1].name if isinstance(key, tuple) and len(key) >= 5 and isinstance(key[1], Named) else ""
    if name not in _STORAGES:
        raise ValueError(f"a storage of type {name or 'unknown'}")
    return _STORAGES[name]
