"""README, CONTRIBUTING and docs are programs too: every fenced python and bash block runs, in order, file by file.

A block that cannot run here (a GPU, a download of gigabytes) says so in a comment on the line before it:
`<!-- not run: reason -->`.

Of most pages the python blocks run first, then the bash blocks in a folder of their own. A tutorial runs from top to bottom
in one empty folder: one process for its python, which calls each bash block where it stands, so that files are shared and
names of python last (a `cd` or a variable of bash does not). What it promises is compared with what was printed: after
`<!-- output -->`, each line of a text block occurs in the output of the block before it, in order, where `...` stands for
anything. After `<!-- output, about -->`, numbers may be others.
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
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(  # in lists, blocks are indented
    r"(?P<before>[^\n]*)\n(?P<indent> *)```(?P<language>python|bash|text)\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
PROMISE = re.compile(r"<!-- output(?P<about>, about)? -->")
NUMBER = r"[-+]?\d[\d.,]*"
MARK = "<block>"  # printed before each block of a tutorial
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)[^)]*\)")


def blocks(page: Path, language: str) -> list[str]:
    found = BLOCK.finditer(page.read_text())
    return [dedent(m["code"]) for m in found if m["language"] == language and "<!-- not run:" not in m["before"]]


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": ""}
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, cwd=folder, text=True, env=environment, timeout=600, check=False, **out)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def plain(text: str) -> str:
    """Without line breaks and the frames of tables."""
    return re.sub(r"[\s\u2500-\u257f]+", " ", text).strip()


def promised(line: str, about: bool) -> re.Pattern[str]:
    """What a line of expected output stands for."""
    wild = [r"\.\.\.", NUMBER] if about else [r"\.\.\."]
    parts = re.split(f"({'|'.join(wild)})", plain(line))  # text and wild parts in turn
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = (".*?" if part == "..." else NUMBER for part in parts[1::2])
    return re.compile("".join(parts))


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


def test_what_a_promised_line_stands_for():
    printed = plain("│ full  │ 0.95 [0.94, 0.96] │\nkept.png written")
    assert promised("full   0.95", False).search(printed)
    assert promised("full ... written", False).search(printed)
    assert promised("full 0.80 [0.7, 0.9]", True).search(printed)
    assert not promised("full 0.80", False).search(printed)
    assert not promised("random 0.95", True).search(printed)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda p: p.name)
def test_tutorials_run_and_print_what_they_promise(page, tmp_path):
    code, promises = [], []
    for block in BLOCK.finditer(page.read_text()):
        text = dedent(block["code"])
        if mark := PROMISE.search(block["before"]):
            promises.append((len(code), text, mark["about"] is not None))
        elif block["language"] != "text" and "<!-- not run:" not in block["before"]:
            bash = f"__import__('subprocess').run(['bash', '-euo', 'pipefail', '-c', {text!r}], check=True)"
            code.append(f"print({MARK!r})\n{text if block['language'] == 'python' else bash}\n")
    (tmp_path / "page.py").write_text("".join(code))
    printed = run([sys.executable, "-u", "page.py"], tmp_path).split(MARK)
    for number, text, about in promises:
        output, at = plain(printed[number]), 0
        for line in filter(plain, text.splitlines()):
            found = promised(line, about).search(output, at)
            assert found, f"{page.name} promises {line!r}, which the block before it did not print:\n{printed[number]}"
            at = found.end()


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS], ids=lambda p: p.name)
def test_links_and_pictures_exist(page):
    for match in LINK.finditer(page.read_text()):
        target = match["target"]
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
