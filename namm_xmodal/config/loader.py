"""YAML files with `extends:`; nothing in them is ever executed, names resolve through tables only."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from namm_xmodal.config.names import did_you_mean
from namm_xmodal.errors import ConfigError

Mapping = dict[str, Any]


def packaged_folder() -> Path:
    """The folder of the configurations that ship with the package (the same in a wheel and in a checkout)."""
    return Path(str(files("namm_xmodal"))) / "configs"


def packaged_configs() -> dict[str, Path]:
    """Every shipped configuration by its name, for example `language/smollm2`."""
    root = packaged_folder()
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.yaml"))}


def resolve_config(name: str | Path, beside: Path | None = None) -> Path:
    """Finds a configuration by path or by packaged name.

    Args:
        name: A path (`my/eval.yaml`), or the name of a shipped file (`language/smollm2`, with or without
            `configs/` in front and `.yaml` behind).
        beside: The folder that relative paths are looked up in first; the current folder if absent.

    Raises:
        ConfigError: If neither a file nor a packaged configuration has this name.
    """
    text = str(name)
    path = Path(text).expanduser() if beside is None else beside / Path(text).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(f"{text}: is a folder, expected a YAML file; name one of the files inside it")
    shipped = packaged_configs()
    short = text.removeprefix("./").removeprefix("configs/").removesuffix(".yaml")
    if short in shipped:
        return shipped[short]
    hint = did_you_mean(short, shipped)
    raise ConfigError(f"{text}: no such file and no packaged configuration of this name; {hint}")


def load_mapping(name: str | Path) -> Mapping:
    """Reads a YAML file and everything it extends into one mapping; the extending file wins, key by key.

    Lists are replaced as a whole. A `null` removes an inherited key, so its default applies again; `{}` empties a mapping.
    """
    return _load(resolve_config(name), ())


def merge(base: Mapping, change: Mapping) -> Mapping:
    """Deep merge: mappings are merged, all else is replaced, `null` removes what was inherited, `{}` empties it."""
    merged = dict(base)
    for key, value in change.items():
        if value is None and key in merged:
            del merged[key]
        elif isinstance(value, dict) and value and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _load(path: Path, chain: tuple[Path, ...]) -> Mapping:
    real = path.resolve()
    if real in chain:
        names = " -> ".join(each.name for each in (*chain, real))
        raise ConfigError(f"{path}: extends itself ({names}); remove one `extends:` of the circle")
    content = _read(path)
    parents = content.pop("extends", [])
    if isinstance(parents, str):
        parents = [parents]
    if not isinstance(parents, list) or not all(isinstance(each, str) for each in parents):
        raise ConfigError(f"{path}: extends: {parents!r}: expected a path or a packaged name, or a list of them")
    merged: Mapping = {}
    for parent in parents:
        merged = merge(merged, _load(resolve_config(parent, beside=path.parent), (*chain, real)))
    return merge(merged, content)


def _read(path: Path) -> Mapping:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text at byte {error.start}; save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {one_line(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected `key: value` lines at the top, found {type(content).__name__}")
    return content


def one_line(error: yaml.YAMLError) -> str:
    """The problem and its place on one line; PyYAML spreads it over several."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else str(problem)


class _UniqueKeys(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice: the second would win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node in _plain_keys(node):
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is not a word; quote it", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _plain_keys(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    """Keys except `<<`, which merges an anchor of the same file."""
    return (key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge")


# YAML 1.1 reads 1e-3 as a string (it wants 1.0e-3); everyone means the number.
_UniqueKeys.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_value(text: str) -> Any:
    """One YAML value, typed as in a file: `4`, `0.5`, `true`, `[1, 2]`, `{policy: h2o}`, text."""
    try:
        return yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigError(f"{text!r}: not a YAML value: {one_line(error)}; quote it") from None
