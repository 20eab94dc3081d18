"""`namm-xmodal report`: writes tables and page again from saved results."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer


def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder of the results of `namm-xmodal eval`.", show_default=False)],
    parquet: Annotated[
        bool,
        typer.Option(
            "--parquet",
            help="Also write results.parquet, one row per record, and estimates.parquet, one row per score.",
        ),
    ] = False,
    card: Annotated[
        bool, typer.Option("--card", help="Also write README.md, a card for the Hugging Face Hub.")
    ] = False,
) -> None:
    """Write the report of saved results again, complete or not: summary, tables, figures and page.

    Nothing is evaluated. `bootstrap` in the folder's config.yaml may be changed first. While an evaluation writes into
    the folder, the tables are printed and nothing is written. Every later report updates existing Parquet files and
    card.

    Example: `namm-xmodal report results/demo`, or `namm-xmodal report results/demo --parquet --card`
    """
    from namm_xmodal.cli.console import console, notice
    from namm_xmodal.cli.folders import eval_folder
    from namm_xmodal.errors import FolderInUseError
    from namm_xmodal.report.read import read_results
    from namm_xmodal.report.write import tables_only, write_report

    results = read_results(folder, notice)
    with ExitStack() as stack:
        try:
            stack.enter_context(eval_folder(results.config, "report on a writable copy").claimed())
        except FolderInUseError:
            notice(f"{folder}: in use by another run; these are the tables so far, nothing is written")
            page, tables = None, tables_only(results.records, results.config, results.plan, notice=notice)
        else:
            page = folder / "report" / "index.html"
            tables = write_report(
                results.records, results.config, results.plan, notice=notice, parquet=parquet, card=card
            )
        for table in tables:
            console.print(table)
    if page is not None:
        console.print(f"open {page}", soft_wrap=True)
