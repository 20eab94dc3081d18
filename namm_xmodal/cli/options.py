"""Options that several commands share, with one wording."""

from pathlib import Path
from typing import Annotated

import typer

ConfigName = Annotated[
    str,
    typer.Argument(help="A YAML file, or the name of a shipped one (`namm-xmodal list configs`).", show_default=False),
]

Output = Annotated[
    Path | None, typer.Option(help="Folder of the results; default: `output` of the file.", show_default=False)
]

Fresh = Annotated[
    bool,
    typer.Option("--fresh/--resume", help="Start from scratch (existing results are backed up) instead of resuming."),
]

Workers = Annotated[
    int | None,
    typer.Option(help="Number of local processes, each with its own model; default: `workers` of the file.", min=1),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check configuration and data, print what would run, and stop.")
]

Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help=(
            "Change one value; may be repeated: `--set language.budgets=[0.5,0.25]`. Values are YAML; null removes a "
            "key."
        ),
    ),
]
