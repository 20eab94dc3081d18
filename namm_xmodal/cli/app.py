"""The commands, put together."""

from pathlib import Path
from typing import Annotated

import typer

from namm_xmodal.cli.calibrate import calibrate_command
from namm_xmodal.cli.check import check_app
from namm_xmodal.cli.compare import compare_command
from namm_xmodal.cli.evaluate import evaluate_command, rollout_command, video_qa_command
from namm_xmodal.cli.evolve import evolve_command
from namm_xmodal.cli.group import Commands
from namm_xmodal.cli.head_shares import head_shares_command
from namm_xmodal.cli.inspect import inspect_command
from namm_xmodal.cli.listing import list_app
from namm_xmodal.cli.lm_eval import PASSED_ON, lm_eval_command
from namm_xmodal.cli.plot import plot_command
from namm_xmodal.cli.prepare import prepare_app
from namm_xmodal.cli.report import report_command
from namm_xmodal.cli.train import train_command
from namm_xmodal.cli.version import version_text
from namm_xmodal.cli.warm_start import warm_start_command

app = typer.Typer(
    name="namm-xmodal",
    cls=Commands,
    help="Generate with a pruned KV cache: compare memory policies, see what they keep, check your own.\n\n"
    "Start with `namm-xmodal eval language/first`, a minute on one core; evolve a policy of your own "
    "with `namm-xmodal evolve evolve/smollm2`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("eval")(evaluate_command)
app.command("report")(report_command)
app.command("compare")(compare_command)
app.command("train")(train_command)
app.command("evolve")(evolve_command)
app.command("rollout")(rollout_command)
app.command("warm-start")(warm_start_command)
app.command("head-shares")(head_shares_command)
app.command("calibrate")(calibrate_command)
app.command("plot")(plot_command)
app.command("video-qa")(video_qa_command)
app.command("inspect")(inspect_command)
app.command("lm-eval", context_settings=PASSED_ON)(lm_eval_command)
app.add_typer(list_app, name="list")
app.add_typer(check_app, name="check")
app.add_typer(prepare_app, name="prepare")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_text())
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the versions that a report needs."),
    ] = False,
    plugins: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.py",
            help=(
                "Your own policies, channels, tasks, metrics, benchmarks, adapters, environments, modalities or "
                "strategies, in mappings such as `POLICIES = {'mine': Mine}`. Give it before the command; may be "
                "repeated."
            ),
            show_default=False,
        ),
    ] = None,
    whole_traceback: Annotated[
        bool,
        typer.Option(
            "--traceback", help="Show the traceback of an error, such as one in a plug-in. Give it before the command."
        ),
    ] = False,
) -> None:
    """Options of the command itself."""
    del whole_traceback  # `Commands` reads it
    if plugins:
        from namm_xmodal.plugins import use_files

        use_files(plugins)
