"""Untrusted models, for transformers: folders whose files are bounded, loaded without running anything in them.

Every model, tokenizer and processor that is not built here comes through `open_model_folder`.
"""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from namm_xmodal.errors import DataError, NammError
from namm_xmodal.trust.files import MIB, check_file, reason_of
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.trust.safetensors_file import count_numbers, safetensors_shapes

if TYPE_CHECKING:
    from torch import Tensor

_MOST_FILES = 10_000
_TEXTS = {".json": 32 * MIB, ".jinja": MIB, ".txt": 32 * MIB, ".model": 32 * MIB}
_TOKENIZER = 64 * MIB
_FREE = 256 * MIB
"""Bytes that a model may have beyond eight times those of its files: masks and tables; quantised weights are packed."""
_LAYERS = re.compile(r"(?!.*(size|dim|len|width)).*(layer|depth|block|expert)", re.IGNORECASE)
_ELSEWHERE = re.compile(r"(hf[-_]hub|local-dir):", re.IGNORECASE)
_OTHER_FILES = ("transformers_weights", "fusion_config", "distributed_config")
_PATTERNS = ("*.json", "*.jinja", "*.model", "*.txt")


@dataclass(frozen=True)
class ModelFolder:
    """A folder in transformers' layout, checked.

    Attributes:
        path: Where it is.
        revision: Commit on the hub; None for a folder of the user's.
        config: transformers' configuration, of which nothing names other files or code.
    """

    path: Path
    revision: str | None
    config: Any
    _error: type[NammError]

    def part(self, kind: Any) -> Any:
        """A tokenizer or processor.

        Args:
            kind: A class with `from_pretrained`.
        """
        with _own_words(self.path, self._error):
            return kind.from_pretrained(self.path, trust_remote_code=False, local_files_only=True)

    def model(self, kind: Any, dtype: Any) -> tuple[Any, list[str]]:
        """The model and the names of weights that the files lack.

        Args:
            kind: A model class, or one of transformers' `AutoModel...`.
            dtype: Precision of the weights.

        Raises:
            NammError: If the configuration asks for much more than the files hold.
        """
        state, tensors, size = self._weights()
        _check_layers(self.config.to_dict(), max(tensors, 1024), self.path / "config.json", self._error)
        with _own_words(self.path, self._error):
            model, report = self._class_of(kind, size).from_pretrained(
                self.path if state is None else None,
                config=self.config,
                dtype=dtype,
                state_dict=state,
                use_safetensors=True,
                attn_implementation=None,
                experts_implementation=None,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        if state is not None and model.can_generate() and (self.path / "generation_config.json").exists():
            from transformers import GenerationConfig  # given a state, transformers does not look into the folder

            model.generation_config = GenerationConfig.from_pretrained(self.path, local_files_only=True)
        return model, sorted(report["missing_keys"])

    def _weights(self) -> "tuple[dict[str, Tensor] | None, int, int]":
        """Tensors of a pickled file (None for safetensors, which transformers reads), how many there are, and bytes."""
        from namm_xmodal.trust.torch_file import read_tensors

        for suffix in ("model.safetensors", "pytorch_model.bin"):
            files = self._files(suffix)
            size = sum(path.stat().st_size for path in files)
            if files and suffix.endswith(".safetensors"):
                shapes = [safetensors_shapes(path, error=self._error, expected="safetensors") for path in files]
                return None, sum(map(len, shapes)), max(size, *map(count_numbers, shapes))
            if files:
                state: dict[str, Tensor] = {}
                for path in files:
                    state |= read_tensors(path, error=self._error, expected="a file of weights", most=4 * size)
                return state, len(state), size
        raise self._error(f"{self.path}: contains no weights; expected model.safetensors or pytorch_model.bin")

    def _files(self, name: str) -> list[Path]:
        """The file of this name, or the pieces that an index beside it lists; empty if there is neither."""
        whole, index = self.path / name, self.path / f"{name}.index.json"
        if whole.exists():
            return [whole]
        if not index.exists():
            return []
        values = read_json(index, error=self._error, expected="an index of weights")
        names = values.get("weight_map") if isinstance(values, dict) else None
        if not isinstance(names, dict) or not all(
            isinstance(piece, str) and re.fullmatch(r"[\w.-]+", piece) for piece in names.values()
        ):
            raise self._error(f"{index}: cannot be read; expected an index of weights in the same folder")
        return [
            check_file(self.path / piece, error=self._error, expected="a piece of the weights")
            for piece in sorted(set(names.values()))
        ]

    def _class_of(self, kind: Any, size: int) -> Any:
        """The model's class; builds it without memory for its weights, to learn how much it would take."""
        import torch

        build = getattr(kind, "from_config", None) or kind._from_config
        with torch.device("meta"):
            bare = build(copy.deepcopy(self.config))
        needed = sum(tensor.numel() * tensor.itemsize for tensor in (*bare.parameters(), *bare.buffers()))
        if needed > 8 * size + _FREE:
            raise self._error(
                f"{self.path / 'config.json'}: describes a model of {needed:,} bytes, but its files hold {size:,}; "
                "expected the configuration that the weights were saved with"
            )
        return type(bare)


@contextmanager
def loading(name: str, expected: str) -> Iterator[None]:
    """Turns any error about a missing, gated, unsupported or damaged model into one line.

    Args:
        name: Of the model, as the user gave it.
        expected: What could stand in its place.

    Raises:
        DataError: Caused by what was raised; errors of this package pass.
    """
    try:
        yield
    except NammError:
        raise
    except Exception as error:
        raise DataError(f"model {name!r} cannot be loaded ({reason_of(error)}); expected {expected}") from error


def open_model_folder(place: str, *, error: type[NammError], local: bool = False) -> ModelFolder:
    """Finds a model and checks its files; from the hub it is fetched first, without weights that are pickles if it can be.

    Args:
        place: A folder, or a hub id.
        error: What is raised.
        local: Fetch nothing: a model of the hub must be in its cache.

    Raises:
        NammError: Of the type `error`, if a file is none that may be read.
        OSError, ValueError: Of transformers and the hub, if there is no such model or its configuration is unknown.
    """
    from transformers import AutoConfig

    path, revision = (Path(place), None) if Path(place).is_dir() else _fetch(place, local)
    if not (path / "config.json").exists():
        raise FileNotFoundError(f"no config.json in {path}")
    _check_files(path, error)
    given = read_json(path / "config.json", error=error, expected="a model's configuration", most=4 * MIB)
    if not isinstance(given, dict):
        raise error(f"{path / 'config.json'}: expected a JSON object with a model's configuration")
    if (path / "adapter_config.json").exists():
        raise error(f"{path}: is an adapter of another model (PEFT); merge it into that model and save the result")
    _check_layers(given, 1_000_000, path / "config.json", error)
    if any(_ELSEWHERE.match(text) for text in _texts(given)):
        raise error(f"{path / 'config.json'}: refers to a part outside the folder; expected all parts in the folder")
    with _own_words(path, error):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    config._attn_implementation = None  # what transformers chooses, in parts of the model too; never a hub's kernel
    config._experts_implementation = None
    for name in _OTHER_FILES:
        if hasattr(config, name):
            delattr(config, name)
    return ModelFolder(path, revision, config, error)


@contextmanager
def _own_words(path: Path, error: type[NammError]) -> Iterator[None]:
    """Replaces two errors of transformers whose advice does not apply here."""
    try:
        yield
    except ValueError as trouble:
        if "trust_remote_code" not in str(trouble):
            raise
        raise error(f"{path}: needs its own code, which is never run; use a model that transformers includes") from None
    except RuntimeError as trouble:
        if "ignore_mismatched_sizes" not in str(trouble):
            raise
        raise error(f"{path}: its weights do not have the shapes in config.json; download or save it again") from None


def _fetch(place: str, local: bool) -> tuple[Path, str | None]:
    from huggingface_hub import snapshot_download

    found = Path(snapshot_download(place, allow_patterns=[*_PATTERNS, "model*.safetensors"], local_files_only=local))
    if not any(found.glob("model*.safetensors")):
        found = Path(
            snapshot_download(place, allow_patterns=[*_PATTERNS, "pytorch_model*.bin"], local_files_only=local)
        )
    return found, found.name


def _check_files(folder: Path, error: type[NammError]) -> None:
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if number > _MOST_FILES:
            raise error(f"{folder}: more than {_MOST_FILES:,} files; expected the folder of one model")
        if path.is_dir():
            continue
        most = _TOKENIZER if path.name == "tokenizer.json" else _TEXTS.get(path.suffix)
        check_file(path, error=error, expected="a file of a model", most=most)
        if path.suffix == ".json" and path.name not in ("tokenizer.json", "vocab.json"):
            read_json(path, error=error, expected="a file of a model")


def _check_layers(values: Any, most: int, path: Path, error: type[NammError], name: str = "") -> None:
    """Refuses numbers of layers that could not have weights: transformers makes them one by one."""
    if isinstance(values, dict):
        for key, value in values.items():
            _check_layers(value, most, path, error, str(key))
    elif isinstance(values, list):
        for value in values:
            _check_layers(value, most, path, error, name)
    elif isinstance(values, int) and values > most and _LAYERS.match(name):
        raise error(f"{path}: {name}: {values:,}: expected at most {most:,}, the number of weights in its files")


def _texts(values: Any) -> list[str]:
    if isinstance(values, dict | list):
        inside = values.values() if isinstance(values, dict) else values
        return [text for value in inside for text in _texts(value)]
    return [values] if isinstance(values, str) else []
