"""`namm-xmodal compare`: paired differences between two folders of results."""

import json
from pathlib import Path
from typing import Annotated

import typer


def compare_command(
    ours: Annotated[Path, typer.Argument(help="Folder of results.", show_default=False)],
    theirs: Annotated[Path, typer.Argument(help="The folder to compare it with.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")] = False,
) -> None:
    """Compare two runs item by item: arms of the same name and size, on the items that both have.

    Tasks whose items differ, such as in seed or length, are left out and listed.

    Example: `namm-xmodal compare results/a results/b`
    """
    from namm_xmodal.cli.console import console, notice
    from namm_xmodal.disk.own_files import is_same
    from namm_xmodal.errors import ResultsError
    from namm_xmodal.report.differences import difference_table, differences
    from namm_xmodal.report.read import read_results

    results = read_results(ours, notice), read_results(theirs, notice)
    if is_same(ours, theirs):
        raise ResultsError(f"{theirs}: the same folder as {ours}; give the results of another run")
    found = differences(*results, notice)
    if as_json:
        typer.echo(json.dumps([each.to_json() for each in found], indent=1))
        return
    console.print(difference_table(found, str(ours), str(theirs)))
