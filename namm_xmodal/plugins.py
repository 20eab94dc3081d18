"""Policies, tasks and the like from outside the package: of installed distributions, or of files named on the command line.

An installed distribution declares entry points in a group such as `namm_xmodal.policies`; the name of the entry point is
the name in configurations. A file defines a mapping in capitals for each kind, `POLICIES = {"mine": Mine}`. Nothing is ever
imported because a configuration says so.
"""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from namm_xmodal.errors import PluginError

Kind = Literal["policies", "tasks", "metrics", "benchmarks", "adapters", "environments", "modalities", "strategies"]

FILES = "NAMM_XMODAL_PLUGINS"
"""Environment variable that holds the files, so that worker processes know them too."""


def use_files(paths: list[Path]) -> None:
    """Makes what files define known, here and in the processes that this one starts.

    Args:
        paths: Python files; each is imported under its own name, with its folder on the search path.

    Raises:
        PluginError: If a file is missing, or its name is that of another module.
    """
    for path in paths:
        if path.suffix != ".py" or not path.is_file():
            raise PluginError(f"--plugins {path}: no such Python file; expected a file such as mine.py")
    known = [each for each in os.environ.get(FILES, "").split(os.pathsep) if each]
    os.environ[FILES] = os.pathsep.join(dict.fromkeys([*known, *(str(path.resolve()) for path in paths)]))
    for path in paths:
        _import_file(path.resolve())


def with_plugins(kind: Kind, known: Mapping[str, Any]) -> dict[str, Any]:
    """A table of the package and what plug-ins add to it.

    Args:
        kind: What the table holds.
        known: The package's own entries.

    Raises:
        PluginError: If a plug-in cannot be imported, or uses a name that is taken; names the plug-in.
    """
    table = dict(known)
    for point in entry_points(group=f"namm_xmodal.{kind}"):
        origin = f"plug-in {point.name!r} of {point.dist.name if point.dist else 'an installed distribution'}"
        try:
            found = point.load()
        except Exception as error:  # a plug-in may raise anything
            raise PluginError(f"{origin}: cannot be imported ({_line(error)}); mend or uninstall it") from None
        _add(table, point.name, found, kind, origin)
    for each in (each for each in os.environ.get(FILES, "").split(os.pathsep) if each):
        entries = getattr(_import_file(Path(each)), kind.upper(), {})
        if not isinstance(entries, Mapping):
            raise PluginError(f"{each}: {kind.upper()} is {type(entries).__name__}, expected a mapping of names")
        for name, found in entries.items():
            _add(table, str(name), found, kind, each)
    return table


def _add(table: dict[str, Any], name: str, found: Any, kind: str, origin: str) -> None:
    if name in table:
        raise PluginError(f"{origin}: {kind} has a {name!r} already; rename it")
    table[name] = found


def _import_file(path: Path) -> Any:
    loaded = sys.modules.get(path.stem)
    if loaded is not None:
        if Path(str(getattr(loaded, "__file__", ""))).resolve() == path:
            return loaded
        raise PluginError(f"--plugins {path}: another module is called {path.stem}; rename the file")
    sys.path.insert(0, str(path.parent))
    try:
        module = import_module(path.stem)
    except Exception as error:  # a plug-in may raise anything
        raise PluginError(f"--plugins {path}: cannot be imported ({_line(error)}); mend it") from None
    if Path(str(getattr(module, "__file__", ""))).resolve() != path:
        raise PluginError(f"--plugins {path}: another module is called {path.stem}; rename the file")
    return module


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
