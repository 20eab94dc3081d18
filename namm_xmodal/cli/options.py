"""Options that the commands of results share: one wording, one meaning."""

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
    typer.Option(
        "--fresh/--resume", help="Start anew (earlier results are set aside) instead of doing only what is missing."
    ),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check configuration and data, print what would run, and stop.")
]

Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change one value, as often as needed: `--set budgets=[0.5,0.25]`. YAML values; null removes.",
    ),
]
