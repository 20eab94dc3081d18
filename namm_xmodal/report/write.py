"""Writes everything an evaluation shows into its folder."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from namm_xmodal.config import EvalConfig, build_task, evaluation_digest
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.versions import software_versions
from namm_xmodal.report.picture import fingerprints
from namm_xmodal.report.plot import plot_scores
from namm_xmodal.report.summary import Summary, summarise
from namm_xmodal.report.table import score_tables
from namm_xmodal.trust.terminal import PlainConsole

SUMMARY_FORMAT = 1


def write_report(records: list[Record], config: EvalConfig, width: int | None = None) -> list[Table]:
    """Writes `summary.json`, `table.txt`, `scores.png` and `scores.svg` beside the results.

    Args:
        records: All records of the evaluation.
        config: Its configuration; `config.output` is the folder.
        width: Width of the returned tables; the terminal's if absent.

    Returns:
        The tables for the terminal.

    Raises:
        ResultsError: If there are no records, or the folder cannot be written.
    """
    if not records:
        raise ResultsError(
            f"{config.output}: no results yet; expected at least one finished sample, run the evaluation"
        )
    folder = Path(config.output)
    tasks = {label: build_task(spec, f"tasks.{label}")[0] for label, spec in config.tasks.items()}
    summary = summarise(records, tasks, config.bootstrap)
    tables = score_tables(summary, width or Console().width)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(folder / "summary.json", summary_json(summary, config))
        with (folder / "table.txt").open("w", encoding="utf-8") as file:
            console = PlainConsole(file=file, width=200)
            for table in score_tables(summary, 200):
                console.print(table)
        title = f"{config.model}, update every {config.update_every} tokens"
        plot_scores(summary, folder / "scores", title, fingerprints(records))
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be written ({error.strerror}); the results themselves are kept") from None
    return tables


def summary_json(summary: Summary, config: EvalConfig) -> str:
    """The summary as JSON text."""
    content = {
        "format": SUMMARY_FORMAT,
        "model": config.model,
        "config": evaluation_digest(config),
        "versions": software_versions(),
        "cells": [cell.to_json() for cell in summary.cells],
    }
    return json.dumps(content, indent=1) + "\n"
