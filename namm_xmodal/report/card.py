"""`README.md` of a results folder: tables for people, and a head that the Hugging Face Hub reads.

The head is YAML: what a dataset repository shows (`pretty_name`, `size_categories`, `configs` of the Parquet files that are
there), and `model-index`, the results as the card of a model lists them, with task, dataset and metrics of each arm.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from namm_xmodal.config.evaluation import modality_of
from namm_xmodal.disk.own_files import software
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.evaluation.estimate import FEWEST
from namm_xmodal.evaluation.modality import Metric
from namm_xmodal.report.parquet import ESTIMATES, RESULTS
from namm_xmodal.report.summary import Row, Summary
from namm_xmodal.report.words import counted, digits_for, interval_words, schedules_in_words

CARD = "README.md"

_HUB_TASKS = {
    "language": "text-generation",
    "video": "video-text-to-text",
    "rl": "reinforcement-learning",
}
"""What the Hub calls the tasks of a modality; others are `other`."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_card(folder: Path, summary: Summary, settings: Mapping[str, Any]) -> Path:
    """Writes the card.

    Args:
        folder: Of the results; Parquet files in it are declared.
        summary: Of all of them.
        settings: The resolved configuration.

    Raises:
        OSError: If the disk refuses.
    """
    replace_text(folder / CARD, card_text(folder, summary, settings))
    return folder / CARD


def card_text(folder: Path, summary: Summary, settings: Mapping[str, Any]) -> str:
    """The card; see `write_card`."""
    # The comment signs it: a README.md without it is somebody's own.
    head = f"# {software()}\n{_yaml(card_head(folder, summary))}"
    return f"---\n{head}---\n\n{_body(folder, summary, settings)}"


def card_head(folder: Path, summary: Summary) -> dict[str, Any]:
    """The YAML head."""
    count = sum(len(row.records) for row in summary.rows)
    found: dict[str, Any] = {
        "pretty_name": f"Results of namm-xmodal: {folder.absolute().name}",
        "tags": ["namm-xmodal", "kv-cache", "evaluation"],
        "size_categories": [next((name for most, name in _SIZES if count < most), "n>1M")],
    }
    tables = [name for name in (RESULTS, ESTIMATES) if (folder / name).exists()]
    if tables:
        found["configs"] = [{"config_name": Path(name).stem, "data_files": name} for name in tables]
    return found | {"model-index": model_index(summary)}


def model_index(summary: Summary) -> list[dict[str, Any]]:
    """Results in the Hub's format: a list of models, for each a list of task, dataset and metrics."""
    models: dict[str, list[dict[str, Any]]] = {}
    for row in summary.rows:
        metrics = [_metric(row, cell.metric) for cell in row.cells.values() if cell.metric.headline]
        if metrics:
            models.setdefault(_model(row), []).append(
                {
                    "task": {"type": _HUB_TASKS.get(modality_of(row.section), "other"), "name": row.section},
                    "dataset": {"type": row.task, "name": f"{row.task} ({row.section})"},
                    "metrics": metrics,
                }
            )
    return [{"name": name, "results": _merged(results)} for name, results in models.items()]


def _merged(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Arms on one dataset side by side."""
    found: dict[str, dict[str, Any]] = {}
    for each in results:
        name = each["dataset"]["name"]
        if name in found:
            found[name]["metrics"] += each["metrics"]
        else:
            found[name] = each
    return list(found.values())


def _metric(row: Row, metric: Metric) -> dict[str, Any]:
    score = row.cells[metric.name].score
    args = {"policy": row.policy, "size": row.size, "schedule": row.schedule, "kept": round(row.kept.fraction, 4)}
    args |= {"n": score.n, "low": score.low, "high": score.high, "level": score.level, "estimator": score.estimator}
    arm = ", ".join([row.policy, row.size, *([] if row.schedule in ("none", "before") else [row.schedule])])
    return {"type": metric.name, "name": f"{metric.name}: {arm}", "value": score.value, "args": args}


def _model(row: Row) -> str:
    return ", ".join(sorted({record.model["name"] for record in row.records if record.model})) or row.section


def _body(folder: Path, summary: Summary, settings: Mapping[str, Any]) -> str:
    records = [record for row in summary.rows for record in row.records]
    level = f"{summary.bootstrap.level:.0%}"
    parts = [
        f"# {_cell(folder.absolute().name)}",
        "Memory policies for the key-value cache, the share that they keep and the scores of the model: "
        f"{counted(len(records), 'result')} of `namm-xmodal eval`.",
    ]
    if summary.incomplete:
        parts.append(f"**Not complete: {summary.incomplete}.**")
    for section in summary.sections():
        for task in summary.tasks(section):
            for metric in summary.headline(section, task):
                parts.append(_table(summary, section, task, metric))
    schedules = schedules_in_words(row.schedule for row in summary.rows)
    parts.append(
        f"Scores with {level} bootstrap intervals; difference: paired, to the full cache on the same items, \\* if its "
        f"interval excludes 0 and n >= {FEWEST}; kept: share of the cache that is left when the answer is due."
        + (f" {schedules}" if schedules else "")
    )
    parts += ["## How it was made", "\n".join(f"* {line}" for line in _provenance(folder, summary))]
    parts += ["## Configuration", f"```yaml\n{_yaml(settings)}```"]
    return "\n\n".join(parts) + "\n"


def _table(summary: Summary, section: str, task: str, metric: Metric) -> str:
    rows = [row for row in summary.of(section, task) if metric.name in row.cells]
    digits = digits_for(row.cells[metric.name].score.value for row in rows)
    lower = "" if metric.higher_is_better else " (lower is better)"
    lines = [
        f"### {_cell(section)}: {_cell(task)}, {_cell(metric.name)}{lower}",
        "",
        "| policy | size | schedule | score | n | difference | kept |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cell = row.cells[metric.name]
        pair = cell.difference
        mark = r"\*" if pair and pair.marked else ""
        difference = "" if pair is None else f"{interval_words(pair, digits, sign=True)}{mark}"
        score = interval_words(cell.score, digits)
        cells = [row.policy, row.size, row.schedule]
        shown = [*map(_cell, cells), score, str(cell.score.n), difference, f"{row.kept.fraction:.1%}"]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def _provenance(folder: Path, summary: Summary) -> list[str]:
    records = [record for row in summary.rows for record in row.records]
    drawn = summary.bootstrap
    found = [
        f"Command: `namm-xmodal eval config.yaml --output {folder.absolute().name}`, with the configuration below as "
        "`config.yaml`.",
        f"Seeds of sections: {_listed(record.seed for record in records)}. Intervals: {drawn.resamples:,} resamples, seed "
        f"{drawn.seed}.",
        f"Models: {_listed(_said(record.model) for record in records)}.",
        f"Digests of the settings: {_listed(f'{record.section} {record.digest}' for record in records)}.",
        f"Software: {_listed(f'{name} {each}' for record in records for name, each in record.versions.items())}.",
    ]
    machines = _listed(", ".join(f"{k} {v}" for k, v in record.hardware.items()) for record in records)
    dates = sorted(record.started for record in records)
    found.append(f"Hardware: {machines or 'not recorded'}.")
    return [*found, f"Made from {dates[0]} to {dates[-1]}."]


def _said(model: Mapping[str, Any]) -> str:
    return f"{model.get('name', '?')} ({model.get('source', '?')}, {model.get('dtype', '?')})"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(_cell(str(value)) for value in dict.fromkeys(values) if str(value))


def _cell(text: str) -> str:
    """Text that neither ends a cell of a table nor starts markup."""
    plain = " ".join(text.split())
    for mark in "\\|*_`<[":
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def _yaml(content: Any) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return text
