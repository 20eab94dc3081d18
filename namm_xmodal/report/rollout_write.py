"""Writes everything a rollout shows into its folder."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from namm_xmodal.agents.survivors import AGES
from namm_xmodal.config import RolloutConfig, config_digest
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import ResultsError
from namm_xmodal.report.picture import fingerprints
from namm_xmodal.report.rollout_plot import plot_rollouts, plot_survivors
from namm_xmodal.report.rollout_summary import normaliser_of, summarise_rollouts
from namm_xmodal.report.rollout_table import rollout_tables
from namm_xmodal.report.words import counted
from namm_xmodal.rollouts.record import RolloutRecord
from namm_xmodal.trust.terminal import PlainConsole

SUMMARY_FORMAT = 1


def write_rollout_report(records: list[RolloutRecord], config: RolloutConfig, width: int | None = None) -> list[Table]:
    """Writes `summary.json`, `table.txt`, `scores.png` and `.svg`, and `survivors.png` and `.svg` if they were counted.

    Args:
        records: All records of the rollout, in order.
        config: Its configuration; `config.output` is the folder.
        width: Width of the returned tables; the terminal's if absent.

    Returns:
        The tables for the terminal.

    Raises:
        ResultsError: If there are no records, or the folder cannot be written.
    """
    if not records:
        raise ResultsError(f"{config.output}: no results yet; expected at least one finished episode, run the rollout")
    folder = Path(config.output)
    rows = summarise_rollouts(records, config)
    environment = records[0].episode["environment"]
    targets = sorted({record.target for record in records})
    models = sorted({record.model for record in records})
    options = "".join(f", {name} {value}" for name, value in config.environment_options.items())
    title = (
        f"{config.model} ({counted(len(models), 'model')}) in {environment}{options}, target "
        f"{' or '.join(f'{t:g}' for t in targets)}, update every {config.update_every} tokens"
    )
    normaliser = normaliser_of(config, environment)
    named = normaliser.name if normaliser is not None else "success" if config.score == "success" else ""
    score = f"{named} score" if normaliser is not None else named or "return"
    content = {
        "format": SUMMARY_FORMAT,
        "model": config.model,
        "models": models,
        "environment": environment,
        "environment_options": config.environment_options,
        "targets": targets,
        "update_every": config.update_every,
        "evict": config.evict,
        "within": config.within,
        "normaliser": None
        if normaliser is None
        else {"name": normaliser.name, "low": normaliser.low, "high": normaliser.high},
        "config": config_digest(config),
        "versions": records[0].versions,
        "ages": list(AGES),
        "rows": [row.to_json() for row in rows],
    }
    tables = rollout_tables(rows, title, named, width or Console().width)
    try:
        replace_text(folder / "summary.json", json.dumps(content, indent=1) + "\n")
        with (folder / "table.txt").open("w", encoding="utf-8") as file:
            console = PlainConsole(file=file, width=180)
            for table in rollout_tables(rows, title, named, 180):
                console.print(table)
        policies = fingerprints(records)
        plot_rollouts(rows, folder / "scores", title, score, policies)
        watched = [row for row in rows if row.survivors is not None]
        if watched:
            plot_survivors(watched, AGES, folder / "survivors", title, policies)
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be written ({error.strerror}); the results themselves are kept") from None
    return tables
