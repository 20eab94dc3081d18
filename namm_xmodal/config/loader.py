"""Loads YAML files with `extends:`. Nothing in them is executed; names are looked up in tables."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from namm_xmodal.config.names import did_you_mean
from namm_xmodal.errors import ConfigError
from namm_xmodal.trust.files import MIB, read_text, reason_of
from namm_xmodal.trust.yaml_text import parse_yaml

Mapping = dict[str, Any]

MOST_FILES = 32
"""Maximum number of files that one configuration extends, counting repeats."""


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
    try:
        path = Path(text).expanduser() if beside is None else beside / Path(text).expanduser()
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, RuntimeError) as error:  # a name that is too long, a home of nobody
        raise ConfigError(f"{text[:200]}: not a path ({reason_of(error)}); expected a YAML file") from None
    if is_folder:
        raise ConfigError(f"{text}: is a folder, expected a YAML file; give one of the files inside")
    if exists:
        return path
    shipped = packaged_configs()
    short = text.removeprefix("./").removeprefix("configs/").removesuffix(".yaml")
    if short in shipped:
        return shipped[short]
    hint = did_you_mean(short, shipped)
    raise ConfigError(f"{text}: no such file, and no shipped configuration has this name; {hint}")


def load_mapping(name: str | Path) -> Mapping:
    """Reads a YAML file and everything it extends into one mapping; the extending file wins, key by key.

    Lists are replaced as a whole. A `null` removes an inherited key, so its default applies again; `{}` empties a
    mapping.
    """
    return _load(resolve_config(name), (), [])


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


def _load(path: Path, chain: tuple[Path, ...], files: list[Path]) -> Mapping:
    real = path.resolve()
    if real in chain:
        names = " -> ".join(each.name for each in (*chain, real))
        raise ConfigError(f"{path}: extends itself ({names}); remove one `extends:` of the cycle")
    files.append(real)
    if len(files) > MOST_FILES:
        raise ConfigError(f"{files[0]}: extends more than {MOST_FILES} files; merge some of them")
    content = _read(path)
    parents = content.pop("extends", [])
    if isinstance(parents, str):
        parents = [parents]
    if not isinstance(parents, list) or not all(isinstance(each, str) for each in parents):
        raise ConfigError(f"{path}: extends: {parents!r}: expected a path or a packaged name, or a list of them")
    merged: Mapping = {}
    for parent in parents:
        try:
            found = resolve_config(parent, beside=path.parent)
        except ConfigError as error:
            raise ConfigError(f"{path}: extends: {error}") from None
        merged = merge(merged, _load(found, (*chain, real), files))
    return merge(merged, content)


def _read(path: Path) -> Mapping:
    text = read_text(path, error=ConfigError, expected="a YAML file", most=MIB)
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of `key: value` lines, found {type(content).__name__}")
    return content


def parse_value(text: str) -> Any:
    """One YAML value, typed as in a file: `4`, `0.5`, `true`, `[1, 2]`, `{policy: h2o}`, text."""
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{text!r}: not a YAML value: {error}; quote it") from None
