"""`namm-xmodal warm-start`: pre-trains the first mean for `evolve` by gradients on its training tasks and sources."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from namm_xmodal.cli.options import DryRun
from namm_xmodal.cli.resumable import resumable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from namm_xmodal.cli.evolve_setup import Setup
    from namm_xmodal.gradient.descent import Descent
    from namm_xmodal.gradient.sample import Vector
    from namm_xmodal.policies.namm import FeatureStatistics

METHODS = {
    "straight_through": "straight-through gradients through hard evictions",
    "policy_gradient": "policy gradients from random evictions",
}


def warm_start_command(
    config: Annotated[str, typer.Argument(help="A YAML file of `namm-xmodal evolve`, or the name of a shipped one.")],
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; default: `run` of the file, plus `-start`.", show_default=False),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change one value: `--set gradient.budget=0.3`."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help=("Number of local processes, each with its own model; default: as in the file."), min=1),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Pre-train a policy by gradients on the training tasks of an evolution file, as its section `gradient` says.

    Gradients are straight-through estimates past hard evictions, or policy gradients from random evictions
    (`gradient.estimator`). The base model is not changed; the result is an ordinary NAMM, from which evolution can
    start. If the command is interrupted, run it again to resume.

    Example: `namm-xmodal warm-start evolve/smollm2 --run runs/start --workers 2`, then
    `namm-xmodal evolve evolve/smollm2 --set start=runs/start/policy --set statistics.path=runs/start/policy`
    """
    from namm_xmodal.cli.console import console, notice
    from namm_xmodal.cli.evolve_preflight import check_run
    from namm_xmodal.cli.evolve_setup import make_setup
    from namm_xmodal.cli.folders import run_folder
    from namm_xmodal.config.evolve import load_evolve_config
    from namm_xmodal.report.words import counted

    plain = load_evolve_config(config, assignments or [], str(run) if run else None, workers)
    setup = make_setup(plain if run else plain.model_copy(update={"run": f"{plain.run}-start"}))
    owned = run_folder(setup.config, "warm-start")
    owned.check()
    check_run(setup, notice if dry_run else lambda text: None, gradient=True)
    if dry_run:
        gradient = setup.config.gradient
        console.print(
            f"{counted(gradient.steps, 'step')} on {counted(setup.config.samples, 'sample')} each of "
            f"{setup.trained_on}, "
            f"{_passes(setup)}, to {gradient.budget:.0%} of the cache, in {setup.config.run}",
            soft_wrap=True,
        )
        return
    folder = Path(setup.config.run)
    with owned.claimed(), resumable():
        steps = _descend(setup, folder)
    options = setup.config.gradient
    held = f" --set threshold=-.inf --set max_tokens={options.budget}" if options.selection == "head" else ""
    console.print(
        f"policy/ after {steps} steps, gradient.jsonl and config.yaml are in {folder}; next: namm-xmodal evolve "
        f"{config} --set start={folder}/policy --set statistics.path={folder}/policy{held}",
        soft_wrap=True,
    )


def _passes(setup: "Setup") -> str:
    """What the steps cost."""
    gradient = setup.config.gradient
    passes = gradient.steps * setup.samples_at_once
    if gradient.estimator == "policy_gradient":
        return f"{passes * gradient.policy_gradient.rollouts} forward passes"
    return f"{passes} forward and backward passes"


def _descend(setup: "Setup", folder: Path) -> int:
    """Statistics, all steps, the policy and the plot; returns the number of steps."""
    from namm_xmodal.cli.console import progress
    from namm_xmodal.cli.evolve_statistics import statistics_for
    from namm_xmodal.gradient.run import STATE

    with progress("estimating feature statistics") as on_progress:
        statistics = statistics_for(setup, folder, saved=(folder / STATE).exists(), on_progress=on_progress)
    start = setup.strategy.mean if setup.config.start != "zeros" else None
    return descend_to(setup, statistics, folder, start)


def descend_to(
    setup: "Setup",
    statistics: "FeatureStatistics",
    folder: Path,
    start: "Vector | None",
    beside: "Callable[[Vector, int], Vector] | None" = None,
    more: "Mapping[str, object] | None" = None,
) -> int:
    """All steps, the policy and the plot; returns the number of steps.

    Args:
        setup: The run.
        statistics: Of its features.
        folder: Where to.
        start: First parameters; random if None.
        beside: See `descend`.
        more: What else decides the result: a part of its fingerprint, and of the policy's metadata.
    """
    from namm_xmodal.cli.console import progress
    from namm_xmodal.cli.evolve_files import guarded, save_config
    from namm_xmodal.cli.evolve_setup import statistics_digest
    from namm_xmodal.cli.evolve_start import start_schedule
    from namm_xmodal.config.evolve import evolve_digest
    from namm_xmodal.config.save import to_mapping
    from namm_xmodal.evolution.arrays import digest as digest_of
    from namm_xmodal.gradient.descent import DescentSettings
    from namm_xmodal.gradient.rollouts import RolloutSettings
    from namm_xmodal.gradient.run import StepRecord, descend, read_steps, saved_state
    from namm_xmodal.report.evolution import BOTH
    from namm_xmodal.report.warm_start import plot_warm_start

    options = to_mapping(setup.config.gradient)
    estimator, drawing = options.pop("estimator"), options.pop("policy_gradient")
    rollouts = RolloutSettings(**drawing) if estimator == "policy_gradient" else None
    settings = DescentSettings(**options, seed=setup.config.seed)
    if settings.selection == "pooled":  # runs are older than the choice
        del options["selection"], options["smallest_budget"], options["average"]
    if settings.scale == "parameter":
        del options["scale"]
    for name, usual in (("share_of", "seen"), ("trained", "all")):  # younger than runs that go on
        if options[name] == usual:
            del options[name]
    relevant: list[object] = [
        evolve_digest(setup.config, statistics_digest(statistics)),
        options,
        setup.config.seed,
        setup.config.start,
    ]
    if not isinstance(setup.config.start, str):
        relevant += [setup.config.start_sigma]
    if rollouts:
        relevant += [drawing]
    if more:
        relevant += [dict(more), "" if start is None else digest_of(start)]
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:12]
    saved_state(folder, digest)  # another run's folder is refused before anything of it is replaced
    save_config(setup, statistics, folder)
    with progress("gradients") as on_progress:

        def on_step(record: StepRecord) -> None:
            losses = ", ".join(f"{task} {loss:.2f}" for task, loss in record.loss.items())
            on_progress(record.step, settings.steps, f"kept {record.kept:.0%} of {record.budget:.0%}; loss {losses}")

        descent = descend(
            setup.factory(statistics),
            settings,
            folder,
            digest,
            start=start,
            schedule=start_schedule(setup.config) if settings.selection == "pooled" else None,
            workers=setup.config.evaluator.workers,
            silence=setup.config.evaluator.silence,
            rollouts=rollouts,
            beside=beside,
            on_progress=on_step,
        )
    save_policy(setup, statistics, descent, folder / "policy", more or {})
    steps = read_steps(folder)
    for suffix in BOTH:
        path = folder / f"plot{suffix}"
        guarded(path, lambda path=path: plot_warm_start(steps, path, str(folder)))  # type: ignore[misc]
    return descent.step


def _language_thresholds(setup: "Setup", descent: "Descent") -> dict[int, float]:
    """The thresholds to save with the policy: those of the tasks, else of the first language source, else none."""
    from namm_xmodal.fitness.agree import PREFIX

    if setup.objective.tasks:
        return descent.thresholds[""]
    labels = [PREFIX + name for name in setup.agree.sources if name.partition("@")[0] == "language"]
    return descent.thresholds.get(labels[0], {}) if labels else {}


def save_policy(
    setup: "Setup", statistics: "FeatureStatistics", descent: "Descent", folder: Path, more: "Mapping[str, object]"
) -> None:
    """Writes the policy; the last threshold moves into the scorer's bias, the others become offsets from it.

    Where every head keeps a share there are none: the best tokens stay, at any length and in any model.
    """
    import torch

    from namm_xmodal.cli.evolve_start import SCHEDULES
    from namm_xmodal.fitness import make_template
    from namm_xmodal.policies.namm import ThresholdSchedule

    parameters = torch.from_numpy(descent.result.copy()).float()
    template = make_template(setup.template(statistics))
    bias = len(parameters) - template.features.num_parameters - 1  # every scorer ends with the bias of its score
    chosen = _language_thresholds(setup, descent)
    last = chosen[max(chosen)] if chosen else 0.0
    parameters[bias] -= last
    schedule = ThresholdSchedule.of({seen: offset - last for seen, offset in chosen.items()})
    metadata = {
        "method": METHODS[setup.config.gradient.estimator],
        "models": list(setup.config.models),
        "tasks": sorted(setup.config.tasks),
        "steps": descent.step,
        "budget": setup.config.gradient.budget,
        "seed": setup.config.seed,
        **more,
    }
    sources = setup.agree.sources
    if sources:
        metadata["agree"] = {name: source.model for name, source in sources.items()}
    if setup.config.gradient.selection == "head":
        metadata["selection"] = "head"
        template = replace(template, threshold=-math.inf, max_tokens=setup.config.gradient.budget)
    elif sources:
        metadata[SCHEDULES] = {
            label: {str(seen): offset - last for seen, offset in sorted(thresholds.items())}
            for label, thresholds in descent.thresholds.items()
            if label
        }
    replace(template, parameters=parameters[None], schedule=schedule, metadata=metadata).save_pretrained(folder)
