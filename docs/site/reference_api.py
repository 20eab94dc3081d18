"""A page of the API for each room: its `__all__`, or, where there is none, every public class and function in it.

What `namm_xmodal` exports is told on the first page, and only there; pages of rooms link to it.
"""

from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import namm_xmodal

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "memory",
    "policies.namm",
    "policies.namm.channels",
    "policies",
    "cache",
    "adapters",
    "language",
    "video",
    "envs",
    "agents",
    "config",
    "evaluation",
    "modalities",
    "evolution",
    "fitness",
    "gradient",
    "training",
    "report",
    "plugins",
    "types",
    "errors",
)


def on_config(config: MkDocsConfig, **_: Any) -> MkDocsConfig:
    """Puts a page for each room into the navigation."""
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    entry = next(entry for entry in reference if "API" in entry)
    entry["API"] = [
        {"namm_xmodal": _uri("namm_xmodal")},
        *({f".{room}": _uri(f"namm_xmodal.{room}")} for room in ROOMS),
    ]
    return config


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Adds the pages."""
    package = griffe.load("namm_xmodal", search_paths=[str(ROOT)])
    told: set[str] = set()
    for name, text in {
        "namm_xmodal": _page(package, _exported(package, list(namm_xmodal.__all__)), told),
        **{f"namm_xmodal.{room}": _page(package[room], _room(package[room]), told) for room in ROOMS},
    }.items():
        files.append(File.generated(config, _uri(name), content=text))
    return files


def _uri(name: str) -> str:
    return f"reference/api/{name}.md"


def _room(room: griffe.Module) -> dict[str, griffe.Object]:
    if room.exports is not None:
        return _exported(room, [str(name) for name in room.exports])
    return {each.path: each for each in _public(room)}


def _exported(module: griffe.Module, names: list[str]) -> dict[str, griffe.Object]:
    found = {}
    for name in names:
        if not name.startswith("__"):
            each = module[name]
            if each.is_module:  # a file named like the one thing in it hides it
                each = each[name]
            found[f"{module.path}.{name}"] = each.final_target if each.is_alias else each
    return found


def _public(module: griffe.Module) -> list[griffe.Object]:
    """Classes and functions of a module and those in it, in the order of the files; rooms of their own are left out."""
    found = []
    for name, member in module.members.items():
        if member.is_alias or name.startswith("_") or member.path.removeprefix("namm_xmodal.") in ROOMS:
            continue
        if member.is_module:
            found += _public(member)
        elif member.is_class or member.is_function:
            found.append(member)
    return found


def _page(module: griffe.Module, entries: dict[str, griffe.Object], told: set[str]) -> str:
    """A summary with a link to every entry, then those entries that no page has told yet."""
    lines = [f"# `{module.path}`", "", module.docstring.value if module.docstring else "", ""]
    lines += ["| name | what it is |", "|---|---|"]
    here = []
    for path, each in sorted(entries.items(), key=lambda entry: entry[0].rpartition(".")[2].lower()):
        about = " ".join(each.docstring.value.split("\n\n")[0].split()) if each.docstring else ""
        name = path.removeprefix(f"{module.path}.")
        # An anchor under the name that people import it by, where that is not its home.
        anchor = f'<a id="{path}"></a>' if path != each.path else ""
        lines.append(f"| {anchor}[`{name}`][{each.path}] | {about.replace('|', chr(92) + '|')} |")
        if each.path not in told:
            here.append(each.path)
            told.add(each.path)
    return "\n".join([*lines, "", *(f"::: {path}\n" for path in here)])
