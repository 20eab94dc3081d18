"""README, CONTRIBUTING and docs are programs too: every fenced python and bash block runs, in order, file by file.

A block that cannot run here (a GPU, a download of gigabytes) says so in a comment on the line before it:
`<!-- not run: reason -->`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(  # in lists, blocks are indented
    r"(?P<before>[^\n]*)\n(?P<indent> *)```(?P<language>python|bash)\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)[^)]*\)")


def blocks(page: Path, language: str) -> list[str]:
    found = BLOCK.finditer(page.read_text())
    return [dedent(m["code"]) for m in found if m["language"] == language and "<!-- not run:" not in m["before"]]


def run(command: list[str], folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": ""}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, timeout=600, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_blocks_run(page, tmp_path):
    code = "\n\n".join(blocks(page, "python"))
    if not code:
        pytest.skip("no python in it")
    (tmp_path / "page.py").write_text(code)
    run([sys.executable, "page.py"], tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_bash_blocks_run(page, tmp_path):
    code = "\n".join(blocks(page, "bash"))
    if not code:
        pytest.skip("no bash in it")
    # Commands speak of configs/ as seen from a clone, and write below results/: give them a folder of their own.
    for name in ("configs", "examples", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    run(["bash", "-euo", "pipefail", "-c", code], tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_exist(page):
    for match in LINK.finditer(page.read_text()):
        target = match["target"]
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
