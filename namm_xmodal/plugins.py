"""Plug-ins: policies, tasks and the like from installed distributions, or from files named on the command line.

An installed distribution declares entry points in a group such as `namm_xmodal.policies`; the name of the entry point
is the name in configurations. A file defines a mapping in capitals for each kind, `POLICIES = {"mine": Mine}`. A
configuration can never cause an import.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from namm_xmodal.errors import PluginError
from namm_xmodal.plugin_kinds import Kind, wrong_entry, wrong_file

FILES = "NAMM_XMODAL_PLUGINS"
"""Environment variable that holds the files, a JSON list, so that worker processes know them too."""

_under_way: list[Path] = []
"""Files that are being imported right now."""


class Registry(Mapping[str, Any]):
    """What the package and its plug-ins know of one kind, by name.

    Plug-ins are imported when the table is first used, not when it is made: they may import any module of the package.
    """

    def __init__(self, kind: Kind, known: Mapping[str, Any]) -> None:
        """Imports nothing yet.

        Args:
            kind: What the table holds.
            known: The package's own entries.
        """
        self._kind, self._known = kind, known

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @cached_property
    def _entries(self) -> dict[str, Any]:
        if _under_way:  # the table would lack what that file is about to define
            raise PluginError(f"looks up {self._kind} while it is being imported; move the lookup into a function")
        found = dict(self._known)
        for point in entry_points(group=f"namm_xmodal.{self._kind}"):
            origin = f"plug-in {point.name!r} of {point.dist.name if point.dist else 'an installed distribution'}"
            try:
                entry = point.load()
            except (Exception, SystemExit) as error:  # a plug-in may raise anything
                raise PluginError(f"{origin}: cannot be imported ({_line(error)}); fix or uninstall it") from None
            self._add(found, point.name, entry, origin)
        for path in _files():
            for name, entry in getattr(_import_file(path), self._kind.upper(), {}).items():
                self._add(found, str(name), entry, f"--plugins {path}")
        return found

    def _add(self, found: dict[str, Any], name: str, entry: Any, origin: str) -> None:
        if name in found:
            raise PluginError(f"{origin}: {self._kind} already has {name!r}; rename the plug-in's entry")
        if wrong := wrong_entry(self._kind, name, entry):
            raise PluginError(f"{origin}: {self._kind}: {wrong}")
        found[name] = entry


def use_files(paths: list[Path]) -> None:
    """Registers what files define, in this process and in those that it starts.

    Args:
        paths: Python files; each is imported under its own name, with its folder on the search path.

    Raises:
        PluginError: If a file is missing, cannot be imported, adds nothing or something that is not what its kind has
            to be, or its name is that of another module.
    """
    for path in paths:
        _check(path, vars(_import_file(path.resolve())))
    os.environ[FILES] = json.dumps([str(path) for path in dict.fromkeys([*_files(), *(p.resolve() for p in paths)])])


def plugin_packages() -> frozenset[str]:
    """Names of the modules and packages that plug-ins are: files of the command line, packages with entry points."""
    points = [point for kind in get_args(Kind) for point in entry_points(group=f"namm_xmodal.{kind}")]
    return frozenset({*(path.stem for path in _files()), *(point.module.partition(".")[0] for point in points)})


def _check(path: Path, content: Mapping[str, Any]) -> None:
    if wrong := wrong_file(content):
        raise PluginError(f"--plugins {path}: {wrong}")
    for kind in get_args(Kind):
        for name, entry in content.get(kind.upper(), {}).items():
            if wrong := wrong_entry(kind, str(name), entry):
                raise PluginError(f"--plugins {path}: {kind}: {wrong}")


def _files() -> list[Path]:
    return [Path(each) for each in json.loads(os.environ.get(FILES, "[]"))]


def _import_file(path: Path) -> Any:
    if path.suffix != ".py" or not path.stem.isidentifier() or not path.is_file():
        raise PluginError(f"--plugins {path}: no such file; expected a Python file such as mine.py")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: it hides no other module
    spec = find_spec(path.stem)
    if spec is None or Path(str(spec.origin)).resolve() != path:
        raise PluginError(f"--plugins {path}: another module is already named {path.stem}; rename the file")
    _under_way.append(path)
    try:
        return import_module(path.stem)
    except (Exception, SystemExit) as error:  # a plug-in may raise anything
        raise PluginError(f"--plugins {path}: cannot be imported ({_line(error)}); fix the file") from None
    finally:
        _under_way.remove(path)


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
