"""The parts of a model assembled from pretrained ones, as saved in its folder."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from namm_xmodal.errors import DataError
from namm_xmodal.language.models import list_models
from namm_xmodal.trust.files import MIB, refusing
from namm_xmodal.trust.json_text import read_json

FILE = "parts.json"
WEIGHTS = "trained.safetensors"
LARGEST = 8192
"""Largest size that a folder may ask for."""


@dataclass(frozen=True)
class Parts:
    """A LLaVA-NeXT-Video: tower, projector and language model.

    Attributes:
        tower: Architecture in `timm`.
        tower_weights: `efficientnet-lite0` for the registry's ImageNet weights; empty for random ones.
        width: Channels of the tower's features.
        side: Pixels of a picture's side.
        patch: Pixels of a patch's side; side / patch must be even.
        language: A name of `list models`.
        rank: Of the additions to the language model's attention.
        scale: Of these.
    """

    tower: str = "tf_efficientnet_lite0"
    tower_weights: str = "efficientnet-lite0"
    width: int = 1280
    side: int = 192
    patch: int = 32
    language: str = "smollm2-135m"
    rank: int = 8
    scale: float = 2.0

    @property
    def cells(self) -> int:
        """Tokens of a frame."""
        return (self.side // self.patch // 2) ** 2

    def save(self, folder: Path) -> None:
        """Writes `parts.json`."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_parts(folder: Path) -> Parts:
    """Reads `parts.json`.

    Raises:
        DataError: If it is damaged.
    """
    path = folder / FILE
    expected = "the list of a model's parts; make it again"
    values = read_json(path, error=DataError, expected=expected, most=MIB)
    with refusing(path, error=DataError, expected=expected):
        usual = Parts()
        parts = Parts(**values)
        for name, value in asdict(parts).items():
            kind = type(getattr(usual, name))
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ValueError(f"{name}={value!r}")
            if isinstance(value, int) and not 1 <= value <= LARGEST:
                raise ValueError(f"{name}={value}, expected 1 to {LARGEST}")
        # A tower's name may hold an address for timm to fetch from, and another model's name any folder.
        if not re.fullmatch(r"\w+(\.\w+)?", parts.tower) or parts.language not in list_models():
            raise ValueError(f"tower {parts.tower!r} or language {parts.language!r} is unknown")
        return parts
