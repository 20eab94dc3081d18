"""Writes everything a video evaluation shows into its folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from namm_xmodal.config.video_qa import VideoQAConfig, build_benchmark, video_digest
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.versions import software_versions
from namm_xmodal.report.picture import fingerprints
from namm_xmodal.report.video_plot import plot_videos
from namm_xmodal.report.video_summary import VideoRow, summarise_videos
from namm_xmodal.report.video_table import video_tables
from namm_xmodal.trust.terminal import PlainConsole
from namm_xmodal.video.benchmarks.answers import LETTERS

SUMMARY_FORMAT = 1


def write_video_report(records: list[Record], config: VideoQAConfig, width: int = 120) -> list[Table]:
    """Writes `summary.json`, `table.txt`, `accuracy.png` and `.svg`, and `predictions.json` beside the results.

    Returns:
        The tables for the terminal.

    Raises:
        ResultsError: If there are no records, or the folder cannot be written.
    """
    if not records:
        raise ResultsError(f"{config.output}: no results yet; run the evaluation")
    folder, benchmark = Path(config.output), build_benchmark(config)
    rows = summarise_videos(records, config.bootstrap)
    tables = video_tables(rows, benchmark, width)
    try:
        replace_text(folder / "summary.json", _summary(rows, records, config, benchmark))
        replace_text(folder / "predictions.json", json.dumps(_predictions(records), indent=1) + "\n")
        with (folder / "table.txt").open("w", encoding="utf-8") as file:
            console = PlainConsole(file=file, width=200)
            for table in video_tables(rows, benchmark, 200):
                console.print(table)
        plot_videos(rows, folder / "accuracy", f"{config.model} on {config.benchmark}", fingerprints(records))
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be written ({error.strerror}); the results themselves are kept") from None
    return tables


def _summary(rows: Sequence[VideoRow], records: Sequence[Record], config: VideoQAConfig, benchmark: Any) -> str:
    answered = [record for record in records if record.tags["status"] == "answered"]
    skipped = {record.tags["id"]: record.tags["reason"] for record in records if record.tags["status"] == "skipped"}
    content = {
        "format": SUMMARY_FORMAT,
        "model": config.model,
        "benchmark": config.benchmark,
        "options": config.options,
        "official_score": "macro" if benchmark.macro else "accuracy",
        "official_denominator": "parsed answers" if benchmark.without_unparsed else "all answers",
        "samplers": sorted({record.tags["sampler"] for record in answered}),
        "rope_factors": sorted({record.tags["rope_factor"] for record in answered}),
        "config": video_digest(config),
        "versions": software_versions(),
        "skipped": skipped,
        "rows": [row.to_json() for row in rows],
    }
    return json.dumps(content, indent=1) + "\n"


def _predictions(records: Sequence[Record]) -> dict[str, dict[str, str | None]]:
    """Label and size -> question -> letter; what benchmarks with secret answers want to be sent."""
    found: dict[str, dict[str, str | None]] = {}
    for record in records:
        size = "all" if record.budget is None else f"{record.budget:g}"
        chosen = record.tags.get("chosen")
        letter = None if chosen is None else LETTERS[chosen]
        found.setdefault(f"{record.policy} {size}", {})[record.tags["id"]] = letter
    return found
