"""What a model of real parts is made of, as its folder says it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from namm_xmodal.errors import DataError

FILE = "parts.json"
WEIGHTS = "trained.safetensors"


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
    try:
        return Parts(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{folder / FILE}: does not say what the model is made of ({error}); make it anew") from None
