"""Fills the tables of the results pages from committed summaries, so that text and figures cannot part.

    python benchmarks/result_pages.py            # writes the tables of docs/results and docs/benchmarks.md
    python benchmarks/result_pages.py --check    # exit code 1 if a table differs from its source

A table stands between two comments. The first names its source, relative to the page, and says in YAML which rows and
columns it has; each is a filter on the fields of the source. `cell` is a format string:

    <!-- table: heads/scores.csv
    rows: {KeyDiff: {policy: keydiff}, recency: {policy: recency}}
    columns: {code: {task: code_completion, size: 25%}}
    cell: "{value:.2f} [{low:.2f}, {high:.2f}]"
    -->

    (the table)

    <!-- end -->

Further keys: `at` (the path into a JSON file), `where` (a filter of all rows), `head` (the name of the first column). A row
may have a `cell` of its own; a column a `cell`, which goes first, a `source` and an `at`. Of a column, `mean: tasks` or
`mean: items` averages what the filters find, `count: verdict` counts it.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import yaml
from result_rows import Row, averaged, counted, matching, read_rows

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "docs/results.md", *sorted((ROOT / "docs/results").glob("*.md")), ROOT / "docs/benchmarks.md"]
BLOCK = re.compile(r"<!-- table: (?P<source>\S+)\n(?P<spec>.*?)-->\n(?P<table>.*?)<!-- end -->", re.DOTALL)
KEYS = {"source", "at", "cell", "mean", "count"}


class TableError(Exception):
    """A table that its source cannot fill."""


def filled(page: Path) -> str:
    """The text of a page with every table as its source has it."""

    def replace(match: re.Match[str]) -> str:
        try:
            table = _table(page.parent, match["source"], yaml.safe_load(match["spec"]) or {})
        except (TableError, KeyError, TypeError, OSError, yaml.YAMLError) as error:
            raise TableError(f"{page}: table of {match['source']}: {error!r}") from None
        return f"<!-- table: {match['source']}\n{match['spec']}-->\n\n{table}\n\n<!-- end -->"

    return BLOCK.sub(replace, page.read_text(encoding="utf-8"))


def _table(folder: Path, source: str, spec: dict[str, Any]) -> str:
    """The Markdown of one table."""
    columns = spec["columns"]
    lines = [f"| {' | '.join([spec.get('head', ''), *columns])} |", "|---" * (len(columns) + 1) + "|"]
    for label, line in spec["rows"].items():
        cells = []
        for column in columns.values():
            column = column or {}
            rows = read_rows(folder / column.get("source", source), column.get("at", spec.get("at", "")))
            for wanted in (spec.get("where", {}), line, column):
                rows = matching(rows, {name: value for name, value in wanted.items() if name not in KEYS})
            pattern = column.get("cell", line.get("cell", spec.get("cell", "")))
            cells.append(_cell(rows, column, pattern, label))
        if not any(cells):
            raise TableError(f"nothing found for the row {label!r}: {line}")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: list[Row], column: dict[str, Any], pattern: str, label: str) -> str:
    """What a cell says; nothing if the source has nothing."""
    if not found:
        return ""
    if "count" in column:
        return pattern.format(**counted(found, column["count"]))
    if "mean" in column:
        found = [averaged(found, column["mean"] == "items")]
    if len(found) > 1:
        raise TableError(f"{len(found)} rows of the source fit one cell of {label!r}; say more in its filters")
    return pattern.format(**found[0])


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a table differs from its source"
    )
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES, help="those of the docs if absent")
    arguments = parser.parse_args()
    stale = []
    for page in arguments.pages:
        try:
            text = filled(page)
        except TableError as error:
            raise SystemExit(str(error)) from None
        if text != page.read_text(encoding="utf-8"):
            stale.append(str(page))
            if not arguments.check:
                page.write_text(text, encoding="utf-8")
    if stale and arguments.check:
        raise SystemExit(
            f"tables differ from their sources in {', '.join(stale)}: run python benchmarks/result_pages.py"
        )


if __name__ == "__main__":
    main()
