"""`namm-xmodal evolve`: evolves a NAMM from one file; stop it any time with Ctrl-C and continue with `--resume`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from namm_xmodal.cli.evolve_setup import Setup
    from namm_xmodal.cli.evolve_verdict import Verdict
    from namm_xmodal.evaluation.estimate import Estimate


def evolve_command(
    config: Annotated[
        str | None,
        typer.Argument(
            help="A YAML file, or the name of a shipped one (`namm-xmodal list configs`).", show_default=False
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: `run` of the file.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume the run in this folder; give no file then.", show_default=False)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change one value, as often as needed: `--set strategy.population=8`. YAML values; null removes.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Local processes (or Ray actors), each with its own models; default: as in the file.", min=1),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the configuration, print what would run, and stop.")
    ] = False,
) -> None:
    """Evolve a memory policy (NAMM) on tasks, or on agreement with the full cache; write journal, policy and plot.

    Finished work is saved at once: after Ctrl-C or a crash, `--resume` gives bit-identical results.

    Example: `namm-xmodal evolve evolve/smoke --run runs/first`, then `namm-xmodal evolve --resume runs/first`
    """
    from namm_xmodal.config.evolve import load_evolve_config
    from namm_xmodal.errors import ConfigError

    if (config is None) == (resume is None):
        raise ConfigError("expected either a file, such as `namm-xmodal evolve evolve/smoke`, or --resume FOLDER")
    if resume is not None and run is not None:
        raise ConfigError(
            f"--run {run}: cannot be combined with --resume {resume}, which continues in its own folder; remove --run"
        )

    from namm_xmodal.cli.console import console, notice
    from namm_xmodal.cli.evolve_preflight import check_run
    from namm_xmodal.cli.evolve_session import resumed_config, run_session
    from namm_xmodal.cli.evolve_setup import make_setup
    from namm_xmodal.cli.folders import run_folder
    from namm_xmodal.cli.group import INTERRUPTED

    place = run if resume is None else resume
    name = config if resume is None else resumed_config(resume)
    assert name is not None
    setup = make_setup(load_evolve_config(name, assignments or [], str(place) if place else None, workers))
    folder = setup.config.run
    console.print(describe(setup), soft_wrap=True)
    run_folder(setup.config, "evolve").check()
    check_run(setup, notice if dry_run else lambda text: None)
    if dry_run:
        return
    session = run_session(setup, resume=resume is not None)
    done = len(session.result.generations)
    if session.result.interrupted:
        console.print(
            f"interrupted after {done} of {setup.config.generations} generations; resume with: namm-xmodal evolve "
            f"--resume {folder}",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED)
    if session.verdict is not None:
        for line in verdict_lines(session.verdict):
            console.print(line, soft_wrap=True)
    elif not session.result.fresh:
        more = f"namm-xmodal evolve --resume {folder} --set generations={2 * done}"
        finished = f"finished, {done} of {setup.config.generations} generations; for more: {more}"
        console.print(finished, soft_wrap=True)
    if setup.config.held_out:
        console.print(f"held-out tasks: namm-xmodal eval {folder}/held_out.yaml", soft_wrap=True)
    console.print(
        f"policy/ (after generation {done - 1}), journal.jsonl, config.yaml, plot.png and plot.svg are in {folder}",
        soft_wrap=True,
    )


def describe(setup: "Setup") -> str:
    """What a run is, on one line."""
    from namm_xmodal.report.words import counted

    config, strategy = setup.config, setup.strategy
    sources = config.agree_sources().values()
    scores = strategy.population * setup.samples_at_once
    of = [counted(len(config.tasks), "task")] if config.tasks or not sources else []
    of += [counted(len(sources), "source")] if sources else []
    tokens = f" and about {setup.tokens():,} tokens of text" if setup.tokens() else ""
    names = dict.fromkeys([*(config.models if config.tasks else ()), *(source.model for source in sources)])
    return (
        f"{', '.join(names)}: {counted(config.generations, 'generation')} of {strategy.population} "
        f"members ({strategy.name}, {strategy.spec['parameters']:,} parameters) x {counted(config.samples, 'sample')} "
        f"of {' and '.join(of)} = {scores:,} scores{tokens} per generation, in {config.run}"
    )


def verdict_lines(verdict: "Verdict") -> list[str]:
    """The comparison with the start, phrased no more strongly than the interval allows."""
    lines = [
        f"{verdict.words}, on {verdict.fitness.n} fresh samples of each training task (seed {verdict.seed}; not used "
        "in training, but from the same tasks)",
        f"  fitness (score - {verdict.weight:.2f} x kept): {_interval(verdict.fitness)}",
        f"  score over the full cache's: {_interval(verdict.score)}",
        f"  cache kept: {_interval(verdict.kept)}",
    ]
    for task in verdict.tasks:
        lines.append(
            f"  {task.label}: score {task.start:.3f} -> {task.answer:.3f} of the full cache's {task.base:.3g}, kept "
            f"{task.start_kept:.0%} -> {task.answer_kept:.0%}"
        )
    return lines


def _interval(interval: "Estimate") -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.value:+.3f} (one sample: no interval)"
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}] ({interval.level:.0%} bootstrap)"
