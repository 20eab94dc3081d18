"""One session of a run: statistics, generations, plot, and finally the comparison with the start."""

import json
from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.cli.console import progress
from namm_xmodal.cli.evolve_display import Display
from namm_xmodal.cli.evolve_files import (
    CONFIG,
    START,
    VALIDATION,
    Files,
    guarded,
    judged,
    save_config,
    write_whole,
)
from namm_xmodal.cli.evolve_setup import Setup
from namm_xmodal.cli.evolve_statistics import statistics_for
from namm_xmodal.cli.evolve_verdict import Verdict, validate
from namm_xmodal.cli.folders import run_folder
from namm_xmodal.cli.resumable import resumable
from namm_xmodal.config.building import at
from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.generation import Generation
from namm_xmodal.evolution.record import JOURNAL, has_begun, read_run
from namm_xmodal.evolution.run import RunResult, evolve
from namm_xmodal.evolution.saving import load_vector
from namm_xmodal.policies.namm import FeatureStatistics
from namm_xmodal.report.evolution import BOTH, plot_evolution


@dataclass(frozen=True)
class Session:
    """How it ended: `verdict` is None after Ctrl-C, without validation, and if the verdict was already on disk."""

    result: RunResult
    verdict: Verdict | None


def run_session(setup: Setup, *, resume: bool) -> Session:
    """Starts or resumes a run; at the end, all files in the folder match the journal's last generation.

    Args:
        setup: The run.
        resume: Whether its folder already holds it.

    Raises:
        NammError: On the user's mistakes and on trouble with the disk; the journal is intact.
    """
    again = f"; to resume a run that was started before, use `namm-xmodal evolve --resume {setup.config.run}`"
    with run_folder(setup.config, "evolve").claimed(), resumable(again):
        return _resumed_or_new(setup, Path(setup.config.run), resume)


def _resumed_or_new(setup: Setup, folder: Path, resume: bool) -> Session:
    begun = has_begun(folder)
    if begun and not resume:
        raise EvolutionError(
            f"{folder / JOURNAL}: a run already exists here; resume it with `namm-xmodal evolve --resume {folder}`, or "
            "choose another --run"
        )
    if not begun and setup.config.after:
        try:
            read_run(Path(setup.config.after))
        except EvolutionError as error:
            raise at("after", error) from None
    with progress("estimating feature statistics") as on_progress:
        statistics = statistics_for(setup, folder, saved=begun, on_progress=on_progress)
    if not begun:  # before the journal's first line, so that whatever has a journal can go on
        save_config(setup, statistics, folder)
    files = Files(setup, statistics, folder)
    with Display() as display:
        result = evolve(
            setup.strategy,
            setup.evaluator(statistics),
            setup.settings(statistics),
            folder,
            resume=begun,
            listeners=[files, display],
            trackers=setup.trackers,
        )
    files.settle(result)
    draw_run(result.generations, folder)
    if result.interrupted or not setup.config.validation or not setup.validation().fresh_shards():
        return Session(result, None)
    if judged(folder) == (digest(result.mean), setup.validation().objective.pool):
        return Session(result, None)
    return Session(result, _validate(setup, statistics, result, folder))


def draw_run(generations: tuple[Generation, ...], folder: Path) -> None:
    """Writes `plot.png` and `plot.svg`, if there is anything to draw."""
    for suffix in BOTH if generations else ():
        path = folder / f"plot{suffix}"
        guarded(path, lambda path=path: plot_evolution(generations, path, str(folder)))  # type: ignore[misc]


def _validate(setup: Setup, statistics: FeatureStatistics, result: RunResult, folder: Path) -> Verdict:
    fresh = setup.validation()
    with progress("comparing with the start") as on_progress:
        verdict = validate(
            fresh.evaluator(statistics),
            fresh.fresh_shards(),
            fresh.objective.seed,
            load_vector(folder / START),
            result.mean,
            result.generations[-1].weight,
            on_progress,
        )
    content = {"answer": digest(result.mean), **verdict.to_json()}
    write_whole(folder / VALIDATION, json.dumps(content, indent=1) + "\n")
    return verdict


def resumed_config(folder: Path) -> Path:
    """The configuration of a run that is to be resumed.

    Raises:
        EvolutionError: If there is none.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise EvolutionError(
            f"--resume {folder}: no run there (no {CONFIG}); expected the --run folder of an earlier namm-xmodal "
            "evolve. If that run was killed before it wrote the file, start it again with its first command"
        )
    return path
