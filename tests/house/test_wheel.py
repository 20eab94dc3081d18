"""The wheel: holds the package and nothing else, says what it is, and runs outside the checkout without a network."""

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from email.parser import Parser
from pathlib import Path

import pytest
from filelock import FileLock
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LARGEST = 40 * 2**20
"""Shipped agents and models are most of it; an index takes 100 MB."""

NO_NETWORK = """import socket

def refused(*arguments, **options):
    raise OSError("no network in this test")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refused
"""


def call(command, folder, **environment):
    """Standard output of a command that ends well."""
    command = [str(part) for part in command]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def build(source, kind, folder):
    """A wheel or sdist of a source tree, made with the tools of this environment."""
    call([sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", folder, source], folder)
    (found,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The wheel, and a folder that it is installed in; made once, whichever worker comes first."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    dist, site, done = shared / "wheel", shared / "wheel-site", shared / "wheel.done"
    with FileLock(shared / "wheel.lock"):
        if not done.exists():
            dist.mkdir()
            wheel = build(ROOT, "wheel", dist)
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
            call([*pip, "--no-deps", "--no-index", "--no-compile", "--target", site, wheel], dist)
            done.touch()
    return next(dist.glob("*.whl")), site


@pytest.fixture
def run(made, tmp_path):
    """Runs Python on the installed wheel, in an empty folder and without a network."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked/sitecustomize.py").write_text(NO_NETWORK)
    path = os.pathsep.join([str(tmp_path / "blocked"), str(made[1])])

    def python(*arguments):
        return call([sys.executable, *arguments], tmp_path, PYTHONPATH=path, COLUMNS="200")

    return python


@pytest.fixture
def content(made):
    """Names in the wheel -> entries."""
    with zipfile.ZipFile(made[0]) as wheel:
        names = Counter(entry.filename for entry in wheel.infolist())
        assert max(names.values()) == 1
        return {entry.filename: entry for entry in wheel.infolist()}


def test_it_holds_the_package_and_nothing_else(content):
    package = {
        (Path(folder) / name).relative_to(ROOT).as_posix()
        for folder, _, names in os.walk(ROOT / "namm_xmodal", followlinks=True)
        for name in names
        if "__pycache__" not in folder
    }
    own = {name for name in content if ".dist-info/" not in name}
    assert own == package
    for name in (
        "py.typed",
        "adapters/table.py",
        "agents/shipped/tmaze/seed-0/model.safetensors",
        "configs/language/smoke.yaml",
        "envs/tmaze.py",
        "language/suites/longbench.yaml",
        "policies/namm/shipped/namm-universal/model.safetensors",
        "policies/shares/smollm2-135m.json",
        "report/page/page.html.j2",
        "video/shipped/llava-small/seed0/model.safetensors",
    ):
        assert f"namm_xmodal/{name}" in own
    assert not [name for name in own if name.endswith((".pyc", ".ipynb")) or "/tests/" in name or "/docs/" in name]


def test_linked_folders_are_in_it_once(content):
    large = Counter((entry.CRC, entry.file_size) for entry in content.values() if entry.file_size > 50_000)
    assert len(large) > 10
    assert max(large.values()) == 1


def test_it_is_not_too_large(made):
    assert made[0].stat().st_size < LARGEST


def test_it_says_what_it_is(made):
    with zipfile.ZipFile(made[0]) as wheel:
        (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
        said = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
        commands = wheel.read(f"{info}/entry_points.txt").decode().split()
        assert (ROOT / "LICENSE").read_bytes() == wheel.read(f"{info}/licenses/LICENSE")
    assert made[0].name.endswith("-py3-none-any.whl")
    assert (said["Name"], said["Version"]) == (PROJECT["name"], PROJECT["version"])
    assert (said["Requires-Python"], said["License-Expression"]) == (PROJECT["requires-python"], PROJECT["license"])
    assert set(said.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    wanted = {Requirement(each).name for each in said.get_all("Requires-Dist") if "extra ==" not in each}
    assert wanted == {Requirement(each).name.replace("_", "-") for each in PROJECT["dependencies"]}
    assert commands == ["[console_scripts]", "namm-xmodal", "=", "namm_xmodal.cli:main"]
    assert said.get_payload().startswith("# namm-xmodal")


def test_the_source_archive_builds_the_same_wheel(content, tmp_path):
    archive = build(ROOT, "sdist", tmp_path)
    with tarfile.open(archive) as source:
        source.extractall(tmp_path, filter="data")
    wheel = build(tmp_path / archive.name.removesuffix(".tar.gz"), "wheel", tmp_path)
    with zipfile.ZipFile(wheel) as again:
        entries = {entry.filename: entry.CRC for entry in again.infolist() if not entry.filename.endswith("/RECORD")}
    assert entries == {name: entry.CRC for name, entry in content.items() if not name.endswith("/RECORD")}


def test_it_runs_outside_the_checkout(made, run):
    found = run("-c", "import namm_xmodal; print(namm_xmodal.__file__)").strip()
    assert Path(found) == made[1] / "namm_xmodal/__init__.py"
    assert run(made[1] / "bin/namm-xmodal", "--version").startswith(f"namm-xmodal {PROJECT['version']}\n")
    policies = run("-m", "namm_xmodal", "list", "policies")
    for name in ("keydiff", "h2o", "namm-universal", "namm-smollm2"):
        assert name in policies


def test_it_evaluates_a_shipped_policy_without_a_network(run, tmp_path):
    changes = (
        "language.tasks.next_token=null",
        "language.tasks.key_retrieval.n=1",
        "language.policies.h2o=null",
        "language.policies.snapkv=null",
        "language.policies.namm=null",
        "language.policies.universal={policy: namm, path: namm-universal, threshold: -.inf, budget: 0.5}",
    )
    blocked = "import socket\ntry: socket.create_connection(('127.0.0.1', 9))\nexcept OSError as error: print(error)"
    assert run("-c", blocked) == "no network in this test\n"
    run("-m", "namm_xmodal", "eval", "language/smoke", *(part for each in changes for part in ("--set", each)))
    results = tmp_path / "results/smoke"
    records = [json.loads(line) for line in (results / "results.jsonl").read_text().splitlines()]
    found = {record["policy"]: record["status"] for record in records if "policy" in record}  # the first line is a head
    assert found == {"full": "scored", "universal": "scored"}
    assert "<html" in (results / "report/index.html").read_text()
