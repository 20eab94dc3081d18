"""Imports follow the data flow: a table says which room may use which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "namm_xmodal"

# room -> rooms it may import, beside itself and those in EVERYBODY.
EVERYBODY = {"errors", "extras", "types", "arrays", "disk", "trust", "plugins", "plugin_kinds"}
ALLOWED = {
    "__main__": {"cli"},
    **{room: set() for room in EVERYBODY},
    "workers": set(),
    "policies": set(),
    "cache": {"policies"},
    "adapters": {"cache", "policies"},
    "memory": {"adapters", "cache", "policies"},
    "language": set(),
    "video": {"language", "workers"},
    "envs": set(),
    "evolution": {"workers"},
    "config": {"policies", "language"},
    "evaluation": {"cache", "config", "memory", "policies", "workers"},  # of no modality: it is given them
    "agents": {"adapters", "envs", "memory", "policies"},
    "modalities": {
        "adapters",
        "agents",
        "cache",
        "config",
        "envs",
        "evaluation",
        "language",
        "memory",
        "policies",
        "video",
    },
    "fitness": {"adapters", "cache", "config", "evolution", "language", "memory", "policies", "unlabelled"},
    "training": {"agents", "envs", "evaluation", "language", "video"},
    "unlabelled": {"config", "language", "modalities", "video"},
    "traces": {"config", "memory", "policies", "unlabelled"},
    "gradient": {"adapters", "cache", "evolution", "fitness", "policies", "traces", "workers"},
    "harness": {"cache", "config", "evaluation", "language", "memory", "modalities", "policies"},
    "report": {"config", "evaluation", "evolution", "gradient", "modalities", "policies"},
    "cli": {
        "adapters",
        "agents",
        "config",
        "envs",
        "evaluation",
        "evolution",
        "fitness",
        "gradient",
        "harness",
        "language",
        "memory",
        "modalities",
        "policies",
        "report",
        "traces",
        "training",
        "unlabelled",
        "video",
    },
}
EXCEPTIONS = {
    # The contract of adapters runs a pruned model against the oracle, so it stands on the finished memory.
    ("adapters/check.py", "memory"),
}


def files():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE)
    for link in (p for p in PACKAGE.iterdir() if p.is_symlink()):
        for path in sorted(link.resolve().rglob("*.py")):
            yield Path(link.name) / path.relative_to(link.resolve())


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "namm_xmodal":
                names = [f"namm_xmodal.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("namm_xmodal.")}
    return rooms


def test_every_room_is_in_the_table():
    rooms = {path.parts[0].removesuffix(".py") for path in files()} - {"__init__"}
    assert rooms <= set(ALLOWED)


@pytest.mark.parametrize("path", sorted(set(files())), ids=str)
def test_imports_follow_the_table(path):
    room = path.parts[0].removesuffix(".py")
    if room == "__init__":
        return  # resolves public names lazily
    allowed = ALLOWED[room] | EVERYBODY | {room}
    for used in imported_rooms(path) - {"__version__"}:
        assert used in allowed or (path.as_posix(), used) in EXCEPTIONS, f"{path} imports {used}"


def test_the_four_links_resolve():
    for name in ("adapters", "envs", "video", "configs"):
        link = PACKAGE / name
        assert link.is_symlink(), f"{link} is not a link: clone with core.symlinks=true"
        assert link.resolve() == ROOT / name


@pytest.mark.parametrize("name", ["adapters", "envs", "video"])
def test_bare_names_are_refused(name):
    run = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode != 0
    assert f"import namm_xmodal.{name}, not {name}" in run.stderr


def test_importing_the_package_imports_no_heavy_library():
    code = "import sys, namm_xmodal; print(sorted({'torch', 'transformers', 'pydantic', 'numpy'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_resolve():
    import namm_xmodal

    for name in namm_xmodal.__all__:
        assert getattr(namm_xmodal, name) is not None
