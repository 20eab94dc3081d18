"""The two files of a saved NAMM as one unit: `config.json` and `model.safetensors` of one save, or of the save before.

`config.json` names the digest of its weights, and its replacement commits a save. By then the weights lie complete beside
it, under a name made of their digest, and are read from there until they have taken their place.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from namm_xmodal.disk.whole_file import replace_text, replacing, sync_folder

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_DIGEST = "weights"


def write_pair(folder: Path, config: dict[str, Any], weights: bytes) -> None:
    """Replaces both files in one step.

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


def read_weights(folder: Path, config: dict[str, Any]) -> tuple[bytes, bool]:
    """The weights of a configuration, and whether they are those it was saved with.

    Args:
        folder: Of the pair.
        config: Content of `config.json`; of a version that named no digest, any weights are its own.

    Raises:
        OSError: If there are none.
    """
    digest = config.get(_DIGEST)
    if not isinstance(digest, str):
        return (folder / WEIGHTS).read_bytes(), True
    with suppress(OSError):
        staged = _staged(folder, digest).read_bytes()
        if hashlib.sha256(staged).hexdigest() == digest:
            return staged, True
    weights = (folder / WEIGHTS).read_bytes()
    return weights, hashlib.sha256(weights).hexdigest() == digest


def _staged(folder: Path, digest: str) -> Path:
    return folder / f".model.{digest[:16]}.safetensors"
