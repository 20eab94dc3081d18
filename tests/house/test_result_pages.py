"""Tables of the results pages are what the committed summaries say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = """# A page
<!-- table: scores.csv
head: policy
rows: {everything: {policy: full}, newest: {policy: recency}}
columns:
  code: {task: code}
  both: {mean: items, cell: "{value:.2f} (n = {n:.0f})"}
cell: "{value:.2f} [{low:.2f}, {high:.2f}]"
-->

| policy | code | both |
|---|---|---|
| everything | 0.50 [0.40, 0.60] | 0.75 (n = 4) |
| newest | 0.30 [0.20, 0.40] | 0.30 (n = 2) |

<!-- end -->
"""
SCORES = """task,metric,policy,value,low,high,n
code,accuracy,full,0.5,0.4,0.6,2
keys,accuracy,full,1.0,1.0,1.0,2
code,accuracy,recency,0.3,0.2,0.4,2
"""


def pages(*arguments):
    command = [sys.executable, "benchmarks/result_pages.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_table_of_the_docs_is_as_its_source_has_it():
    done = pages("--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("wrong", ["0.51", "0.5"])
def test_a_number_that_is_not_the_sources_is_found_and_written_anew(tmp_path, wrong):
    page = tmp_path / "page.md"
    (tmp_path / "scores.csv").write_text(SCORES)
    page.write_text(PAGE)
    assert pages("--check", page).returncode == 0
    page.write_text(PAGE.replace("0.50 [", f"{wrong} ["))
    done = pages("--check", page)
    assert done.returncode == 1
    assert "page.md: run python benchmarks/result_pages.py" in done.stderr
    assert pages(page).returncode == 0
    assert page.read_text() == PAGE


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("policy: recency", "policy: h2o", "nothing found for the row 'newest'"),
        ("code: {task: code}", "code: {}", "2 rows of the source fit one cell of 'everything'"),
        ("scores.csv", "absent.csv", "No such file"),
    ],
)
def test_a_table_that_cannot_be_filled_is_one_line(tmp_path, old, new, told):
    page = tmp_path / "page.md"
    (tmp_path / "scores.csv").write_text(SCORES)
    page.write_text(PAGE.replace(old, new))
    done = pages(page)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
