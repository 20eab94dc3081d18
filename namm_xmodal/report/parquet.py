"""Results as two Parquet files, for pandas, DuckDB, Polars and the Hub's viewer: every record, and every estimate.

`results.parquet` has a row for each line of `results.jsonl`, its mappings as columns with a dot: `kept.fraction`,
`scores.accuracy`. `estimates.parquet` has a row for each arm, task and metric, and for each group of items that scores are
shown by. What is absent is null.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from namm_xmodal.disk.own_files import software
from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.evaluation.estimate import Estimate
from namm_xmodal.evaluation.record import Record
from namm_xmodal.extras import need
from namm_xmodal.report.summary import Row, Summary

RESULTS, ESTIMATES = "results.parquet", "estimates.parquet"

_OPEN = ("tags", "scores", "kept", "seconds", "facts", "model", "versions", "hardware")
"""Fields of a record that are mappings."""

_ARM = ("section", "task", "policy", "budget_fraction", "budget_tokens", "schedule", "size", "fit")
_KINDS = {
    **dict.fromkeys(("number", "seed", "budget_tokens", "n", "resamples", "skipped", "failed"), "int64"),
    **dict.fromkeys(("budget_fraction", "value", "low", "high", "level"), "float64"),
    **dict.fromkeys(("higher_is_better", "headline"), "bool_"),
    **dict.fromkeys(("tag", "tag_value"), "string"),
}
"""Columns whose kind does not depend on what is in them."""


def write_parquet(folder: Path, summary: Summary) -> list[Path]:
    """Writes both files.

    Args:
        folder: Of the results.
        summary: Of all of them.

    Returns:
        The files.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        OSError: If the disk refuses.
    """
    records = [record for row in summary.rows for record in row.records]
    tables = {RESULTS: map(record_row, records), ESTIMATES: estimate_rows(summary)}
    for name, rows in tables.items():
        table = _table(list(rows))
        with replacing(folder / name) as fresh:
            need("pyarrow.parquet", "Parquet").write_table(table, fresh)
    return [folder / name for name in tables]


def record_row(record: Record) -> dict[str, Any]:
    """A record with its mappings as columns."""
    values = asdict(record)
    budget = values.pop("budget")
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in _OPEN:
            found |= {f"{name}.{key}": each for key, each in value.items()}
        else:
            found[name] = value
        if name == "policy":
            found |= _budget(budget)
    return found


def estimate_rows(summary: Summary) -> Iterable[dict[str, Any]]:
    """A row for each arm, task and metric, and for each group of items by tag."""
    for row in summary.rows:
        for cell in row.cells.values():
            about = {
                "metric": cell.metric.name,
                "higher_is_better": cell.metric.higher_is_better,
                "headline": cell.metric.headline,
            }
            parts = {"difference_to_full": cell.difference, "relative_to_full": cell.relative}
            yield {
                **_about(row),
                **about,
                "tag": None,
                "tag_value": None,
                **_numbers(cell.score),
                **{f"{name}.{key}": each for name, found in parts.items() for key, each in _interval(found).items()},
                **{f"kept.{key}": each for key, each in asdict(row.kept).items()},
                "skipped": row.count("skipped"),
                "failed": row.count("failed"),
            }
        shown = next((cell.metric for cell in row.cells.values() if cell.metric.headline), None)
        for tag, groups in row.groups.items():
            for value, score in groups.items():
                assert shown is not None  # groups are of a headline metric
                about = {"metric": shown.name, "higher_is_better": shown.higher_is_better, "headline": True}
                yield {**_about(row), **about, "tag": tag, "tag_value": value, **_numbers(score)}


def _about(row: Row) -> dict[str, Any]:
    values = {"section": row.section, "task": row.task, "policy": row.policy, **_budget(row.budget)}
    values |= {"schedule": row.schedule, "size": row.size, "fit": row.fit}
    first = row.records[0]
    models = sorted({record.model["name"] for record in row.records if record.model})
    return {
        **{name: values[name] for name in _ARM},
        "model": ", ".join(models),
        "digest": first.digest,
        "fingerprint": first.fingerprint,
    }


def _budget(budget: int | float | None) -> dict[str, Any]:
    """0.5 is a share, 64 are tokens: a column each, since 1 and 1.0 would be one number in a file."""
    return {
        "budget_fraction": budget if isinstance(budget, float) else None,
        "budget_tokens": budget if isinstance(budget, int) else None,
    }


def _numbers(score: Estimate) -> dict[str, Any]:
    about = {"estimator": score.estimator, "level": score.level, "resamples": score.resamples, "seed": score.seed}
    return {**_interval(score), **about}


def _interval(score: Estimate | None) -> dict[str, Any]:
    if score is None:
        return dict.fromkeys(("value", "low", "high", "n"))
    return {"value": score.value, "low": score.low, "high": score.high, "n": score.n}


def _table(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A pyarrow table of rows; columns in the order in which they come first, signed by this package."""
    arrow = need("pyarrow", "Parquet")
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        kind = _KINDS.get(name.rpartition(".")[2] if name.startswith(("difference", "relative")) else name)
        kind = kind or _kind(name, [value for value in values if value is not None])
        if kind == "json":
            values = [None if value is None else json.dumps(value) for value in values]
        columns[name] = arrow.array(values, getattr(arrow, "string" if kind == "json" else kind)())
    return arrow.table(columns).replace_schema_metadata({"software": f"made by {software()}"})


def _kind(name: str, values: Sequence[Any]) -> str:
    """Type of a column; `json` for lists, mappings, and values of several kinds."""
    kinds = set(map(type, values))
    if name.startswith(("scores.", "seconds.")) or (kinds == {int, float}):
        return "float64"
    if not kinds:
        return "null"
    names = {bool: "bool_", int: "int64", float: "float64", str: "string"}
    return names.get(kinds.pop(), "json") if len(kinds) == 1 else "json"
