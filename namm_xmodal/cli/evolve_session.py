"""One sitting of a run: statistics, generations, picture, and at its end the comparison with its start."""

import json
from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.cli.console import progress
from namm_xmodal.cli.evolve_display import Display
from namm_xmodal.cli.evolve_files import CONFIG, START, Files, guarded, save_config, write_whole
from namm_xmodal.cli.evolve_setup import Setup
from namm_xmodal.cli.evolve_statistics import statistics_for
from namm_xmodal.cli.evolve_verdict import Verdict, validate
from namm_xmodal.config.building import at
from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.generation import Generation
from namm_xmodal.evolution.record import JOURNAL, read_run
from namm_xmodal.evolution.run import RunResult, evolve
from namm_xmodal.evolution.saving import load_vector
from namm_xmodal.policies.namm import FeatureStatistics
from namm_xmodal.report.evolution import BOTH, plot_evolution

VALIDATION = "validation.json"


@dataclass(frozen=True)
class Sitting:
    """How it ended: `verdict` is None after Ctrl-C, and where no validation is wanted."""

    result: RunResult
    verdict: Verdict | None


def run_sitting(setup: Setup, *, resume: bool) -> Sitting:
    """Starts a run or goes on with it.

    Args:
        setup: The run.
        resume: Whether its folder already holds it.

    Raises:
        NammError: On the user's mistakes and on trouble with the disk; the journal is intact.
    """
    folder = Path(setup.config.run)
    begun = has_journal(folder)
    if begun and not resume:
        raise EvolutionError(
            f"{folder / JOURNAL}: a run is here already; go on with `namm-xmodal evolve --resume {folder}`, or choose "
            "another --run"
        )
    if begun:
        _check_unfinished(setup, folder)
    elif setup.config.after:
        try:
            read_run(Path(setup.config.after))
        except EvolutionError as error:
            raise at("after", error) from None
    with progress("estimating feature statistics") as advance:
        statistics = statistics_for(setup, folder, saved=begun, advance=advance)
    if not begun:  # before the journal's first line, so that whatever has a journal can go on
        save_config(setup, folder)
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
    if result.interrupted or not setup.config.validation:
        return Sitting(result, None)
    return Sitting(result, _validate(setup, statistics, result, folder))


def has_journal(folder: Path) -> bool:
    """Whether a run has begun there."""
    try:
        return (folder / JOURNAL).stat().st_size > 0
    except OSError:
        return False


def draw_run(generations: tuple[Generation, ...], folder: Path) -> None:
    """Writes `plot.png` and `plot.svg`, if there is anything to draw."""
    for suffix in BOTH if generations else ():
        path = folder / f"plot{suffix}"
        guarded(path, lambda path=path: plot_evolution(generations, path, str(folder)))  # type: ignore[misc]


def _check_unfinished(setup: Setup, folder: Path) -> None:
    """Refuses a run with nothing left to do, before a model is loaded for it."""
    done, wanted = len(read_run(folder).generations), setup.config.generations
    judged = not setup.config.validation or (folder / VALIDATION).exists()
    if done >= wanted and judged:
        raise EvolutionError(
            f"{folder}: finished, {done} of {wanted} generations; for more, add --set generations={2 * done}"
        )


def _validate(setup: Setup, statistics: FeatureStatistics, result: RunResult, folder: Path) -> Verdict:
    settings = setup.validation()
    with progress("comparing with the start") as advance:
        verdict = validate(
            setup.evaluator(statistics, settings),
            settings,
            load_vector(folder / START),
            result.mean,
            result.generations[-1].weight,
            advance,
        )
    write_whole(folder / VALIDATION, json.dumps(verdict.to_json(), indent=1) + "\n")
    return verdict


def resumed_config(folder: Path) -> Path:
    """The configuration of a run that is to go on.

    Raises:
        EvolutionError: If there is none.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise EvolutionError(
            f"--resume {folder}: no run there (no {CONFIG}); expected the --run folder of an earlier namm-xmodal evolve"
        )
    return path
