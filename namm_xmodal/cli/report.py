"""`namm-xmodal report`: tables and page again, from what is on disk."""

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder of the results of `namm-xmodal eval`.", show_default=False)],
) -> None:
    """Redraw the report of finished results, complete or not: summary, tables, figures and the page.

    Nothing is evaluated. `bootstrap` in the folder's config.yaml may be changed before.

    Example: `namm-xmodal report results/demo`
    """
    from namm_xmodal.cli.console import console, notice
    from namm_xmodal.cli.folders import eval_folder
    from namm_xmodal.report.read import read_results
    from namm_xmodal.report.write import write_report

    results = read_results(folder, notice)
    with eval_folder(results.config).claimed():
        for table in write_report(results.records, results.config, results.plan, notice=notice):
            console.print(table)
    console.print(f"the page to open is {folder / 'report' / 'index.html'}", soft_wrap=True)
