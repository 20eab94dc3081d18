"""`namm-xmodal plot`: draws a run of evolution, even while it is running."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

PICTURES = (".png", ".svg", ".pdf")


def plot_command(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a run of `namm-xmodal evolve` or `namm-xmodal warm-start`.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help=("Output picture (.png, .svg, .pdf); default: plot.png and plot.svg in the run's folder."),
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw a run: score of each task, fitness, cache kept, step size and rank agreement over generations.

    For a run of `namm-xmodal warm-start`: loss of each task and cache kept over steps.

    Example: `namm-xmodal plot runs/first --output first.png`
    """
    from namm_xmodal.disk.own_files import check_outputs
    from namm_xmodal.disk.trouble import disk_trouble
    from namm_xmodal.errors import ConfigError, EvolutionError

    if output is not None and output.suffix.lower() not in PICTURES:
        raise ConfigError(f"--output {output}: expected a name that ends in {', '.join(PICTURES)}")

    if output is not None:
        check_outputs([output])

    from namm_xmodal.cli.console import console
    from namm_xmodal.evolution.record import read_run
    from namm_xmodal.gradient.run import JOURNAL, read_steps
    from namm_xmodal.report.evolution import BOTH, plot_evolution
    from namm_xmodal.report.warm_start import plot_warm_start
    from namm_xmodal.report.words import counted

    paths = [output] if output else [run / f"plot{suffix}" for suffix in BOTH]
    if (run / JOURNAL).exists():
        steps = read_steps(run)
        count, what, draw = len(steps), "step", partial(plot_warm_start, steps)
    else:
        generations = read_run(run).generations
        count, what, draw = len(generations), "generation", partial(plot_evolution, generations)
    if not count:
        raise EvolutionError(
            f"{run}: no finished generation or step to draw yet; wait for the first, or resume the run"
        )
    for path in paths:
        try:
            draw(path, str(run))
        except OSError as error:
            trouble = disk_trouble(error, "draw it again, or choose another --output")
            raise ConfigError(f"{path}: cannot be written; {trouble}") from None
        console.print(f"{path} written: {counted(count, what)}", soft_wrap=True)
