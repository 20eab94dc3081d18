"""Checks a run of `evolve` or `warm-start` before any model is loaded."""

from collections.abc import Callable, Iterator
from pathlib import Path

from namm_xmodal.cli.agree_preflight import check_sources
from namm_xmodal.cli.evolve_files import STATISTICS
from namm_xmodal.cli.evolve_setup import Setup
from namm_xmodal.cli.evolve_start import check_selection
from namm_xmodal.cli.evolve_statistics import given_statistics
from namm_xmodal.config.blame import named
from namm_xmodal.config.building import at
from namm_xmodal.config.evaluation import evaluation_config
from namm_xmodal.config.evolve_tasks import held_out_evaluation
from namm_xmodal.errors import ConfigError, NammError
from namm_xmodal.evaluation.meaning import Pruning, Reading, check_reading, check_sizes
from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.evolution.record import read_run
from namm_xmodal.fitness.pool import SamplePool
from namm_xmodal.language.at_hand import ModelAtHand, model_at_hand
from namm_xmodal.language.precision import check_precision
from namm_xmodal.modalities.language.preflight import check_task, not_at_hand
from namm_xmodal.modalities.table import MODALITIES
from namm_xmodal.policies.selection import budget_tokens


def check_run(setup: Setup, notice: Callable[[str], None] = lambda text: None, *, gradient: bool = False) -> None:
    """Makes the training samples with each model's tokenizer, and refuses those that cannot be read or scored.

    Args:
        setup: The run.
        notice: Called with which tokenizers are not on this machine.
        gradient: Whether the run is a warm start.

    Raises:
        NammError: The first mistake, on one line.
    """
    config = setup.config
    check_precision(config.dtype, config.device)
    check_sources(setup, notice, gradient=gradient)
    readings = list(_readings(setup, notice))
    pruning = Pruning(config.update_every, config.protect_first, config.protect_recent)
    check_sizes("max_tokens", config.max_tokens, readings, pruning)
    if gradient:
        _check_gradient(setup, readings, pruning)
    else:
        check_selection(config)
    if not (Path(config.run) / STATISTICS).exists():
        if config.after:
            try:
                read_run(Path(config.after))
            except NammError as error:
                raise at("after", error) from None
        given_statistics(config)
    _check_held_out(setup)


def _readings(setup: Setup, notice: Callable[[str], None]) -> Iterator[Reading]:
    objective = setup.objective
    for name in objective.models:
        model = model_at_hand(name)
        if model is None:
            notice(not_at_hand(name))
        for label, task in objective.tasks.items():
            written = check_task(task, f"tasks.{label}", name, model)
            if model is None:
                yield from written
                continue
            for index, sample in enumerate(_pool(setup, label, model).samples):
                yield Reading(f"tasks.{label}: training sample {index}", len(sample.prompt))


def _pool(setup: Setup, label: str, model: ModelAtHand) -> SamplePool:
    objective = setup.objective
    task, every = objective.tasks[label], objective.pruning.update_every
    try:
        return SamplePool(task, model.tokenizer, objective.pool, objective.seed, every, label, model.max_context)
    except NammError as error:
        raise (error if str(error).startswith("tasks.") else at(f"tasks.{label}", error)) from None


def _check_gradient(setup: Setup, readings: list[Reading], pruning: Pruning) -> None:
    """The target cache size of the last steps must be below the length of the texts and above the protected tokens."""
    options = setup.config.gradient
    if options.selection == "head" and setup.config.max_tokens not in (None, options.budget):
        raise ConfigError(
            f"max_tokens: {setup.config.max_tokens}: gradient.selection: head saves the policy with gradient.budget = "
            f"{options.budget}; remove max_tokens, or give both the same"
        )
    if not readings:
        return
    longest = max(map(pruning.last_update, readings), default=0)
    if options.floor >= longest:
        raise ConfigError(
            f"gradient.floor: {options.floor}: keeps everything, since the last update comes after {longest} tokens; "
            "use a smaller floor"
        )
    for reading in readings:
        seen = pruning.last_update(reading)
        share_of = reading.tokens if options.share_of == "whole" else seen
        aim = max(budget_tokens(options.smallest_budget or options.budget, share_of), min(options.floor, seen))
        check_reading("gradient.budget", aim, reading, pruning)


def _check_held_out(setup: Setup) -> None:
    """Checks the held-out tasks as `namm-xmodal eval` will after the run."""
    judged = held_out_evaluation(setup.config, "")
    if judged is None:
        return
    section = judged["language"]
    others = {label: spec for label, spec in section["policies"].items() if label != "namm"}  # it does not exist yet
    kinds = {name: modality.section for name, modality in MODALITIES.items()}
    asked = evaluation_config({**judged, "language": {**section, "policies": others}}, kinds, "held_out")
    for each in make_plan(asked, MODALITIES):
        with named("held_out"):
            each.modality.check(each.section, each.items, each.arms, lambda told: None)
