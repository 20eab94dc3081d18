"""The two files of a saved NAMM as one unit: `config.json` and `model.safetensors` of one save, or of the save before.

`config.json` names the digest of its weights, and its replacement commits a save. By then the weights lie complete
beside it, under a name made of their digest, and are read from there until they have taken their place.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from namm_xmodal.disk.whole_file import replace_text, replacing, sync_folder
from namm_xmodal.errors import CheckpointError
from namm_xmodal.trust.files import MIB, read_bytes

CONFIG, WEIGHTS = "config.json", "model.safetensors"
LARGEST = 256 * MIB
"""Bytes of weights; those of the shipped policies are 17 kB."""
_DIGEST, _HEX = "weights", re.compile("[0-9a-f]{64}")


def write_pair(folder: Path, config: dict[str, Any], weights: bytes) -> None:
    """Replaces both files atomically.

    Raises:
        OSError: If the disk refuses; the old pair is kept.
    """
    digest = hashlib.sha256(weights).hexdigest()
    with replacing(_staged(folder, digest)) as fresh:
        fresh.write_bytes(weights)
    replace_text(folder / CONFIG, json.dumps({**config, _DIGEST: digest}, indent=2) + "\n")
    with suppress(FileNotFoundError):  # another process that saves the same policy was faster
        os.replace(_staged(folder, digest), folder / WEIGHTS)
    sync_folder(folder)
    for left in folder.glob(_staged(folder, "*").name):  # of saves that ended before they were committed
        left.unlink(missing_ok=True)


def weights_of(folder: Path, config: dict[str, Any]) -> tuple[Path, bool]:
    """The file with the weights of a configuration, and whether it is the one that was saved with it.

    Args:
        folder: Of the pair.
        config: Content of `config.json`; of a version that named no digest, any weights are its own.

    Raises:
        CheckpointError: If there is none, or it is too large to be one.
    """
    digest, weights = config.get(_DIGEST), folder / WEIGHTS
    if digest is None:
        return weights, True
    if not isinstance(digest, str) or not _HEX.fullmatch(digest):  # it becomes part of a path
        return weights, False
    staged = _staged(folder, digest)
    for path in (staged, weights) if staged.exists() else (weights,):
        content = read_bytes(path, error=CheckpointError, expected="the weights of a saved NAMM", most=LARGEST)
        if hashlib.sha256(content).hexdigest() == digest:
            return path, True
    return weights, False


def _staged(folder: Path, digest: str) -> Path:
    return folder / f".model.{digest[:16]}.safetensors"
