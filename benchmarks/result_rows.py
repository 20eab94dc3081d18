"""Rows of committed summaries: CSV files of `report/`, and any JSON that a path leads into."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Values(dict[str, Any]):
    """A mapping of numbers that is written as its numbers: `{scores[by_model]:.1f}` is "95.4, 96.0, 96.0"."""

    def __format__(self, spec: str) -> str:
        return ", ".join(format(value, spec) for value in self.values())


@cache
def read_rows(path: Path, at: str = "") -> list[Row]:
    """The rows of a file.

    Args:
        path: A CSV file with a header, or a JSON file.
        at: Of JSON, the keys that lead to the rows, `*` for all of a level: `rows/*`, `scores/*/all`.

    Returns:
        A mapping each. Of JSON, `key` says what the stars stood for. Of CSV, `measure` is `task/metric`, and a label
        such as `keydiff, 25%` also stands apart, as `ours_policy` and `ours_size`.
    """
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [_typed(row) for row in csv.DictReader(file)]
    root = json.loads(path.read_text(encoding="utf-8"), object_hook=Values)
    return [
        {**node, "key": "/".join(keys)} if isinstance(node, dict) else {"value": node, "key": "/".join(keys)}
        for keys, node in _walk(root, at.split("/"), ())
    ]


def _typed(row: Mapping[str, str]) -> Row:
    """Numbers as numbers, what is empty as None."""
    typed: Row = {name: _value(text) for name, text in row.items()}
    if "task" in row and "metric" in row:
        typed["measure"] = f"{row['task']}/{row['metric']}"
    for side in ("ours", "theirs"):
        if side in row:
            policy, _, size = row[side].rpartition(", ")
            typed |= {f"{side}_policy": policy.partition(" · ")[0], f"{side}_size": size}
    return typed


def _value(text: str) -> float | str | None:
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _walk(node: Any, path: list[str], keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not path:
        yield keys, node
        return
    first, *rest = path
    children = dict(enumerate(node)) if isinstance(node, list) else node
    if first == "*":
        for key, child in children.items():
            yield from _walk(child, rest, (*keys, str(key)))
    else:
        yield from _walk(children[first], rest, keys)


def matching(rows: Iterable[Row], wanted: Mapping[str, Any]) -> list[Row]:
    """Rows whose fields are as wanted, or one of a list of wanted values. Numbers and texts compare as texts."""
    allowed = {
        name: {str(each) for each in (value if isinstance(value, list) else [value])} for name, value in wanted.items()
    }
    return [row for row in rows if all(str(row.get(name)) in values for name, values in allowed.items())]


def averaged(rows: list[Row], weighted: bool) -> Row:
    """Means of every number of some rows, each counting alike or by its `n`; `n` is their sum. No interval comes of it."""
    weights = [row["n"] if weighted else 1.0 for row in rows]
    skip = {"n", "low", "high", "difference_low", "difference_high"}
    names = [name for name in rows[0] if name not in skip and all(isinstance(row[name], float) for row in rows)]
    means = {
        name: sum(weight * row[name] for weight, row in zip(weights, rows, strict=True)) / sum(weights)
        for name in names
    }
    return {**means, "n": sum(row["n"] for row in rows)}


def counted(rows: Iterable[Row], field: str) -> Row:
    """How often each value of a field occurs: 0 of those that do not."""
    return {"win": 0, "tie": 0, "loss": 0, **Counter(row[field] for row in rows)}
