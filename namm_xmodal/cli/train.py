"""`namm-xmodal train`: trains one NAMM for several models: traces, ranking, straight-through gradients, evolution."""

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from namm_xmodal.cli.options import DryRun
from namm_xmodal.cli.resumable import resumable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namm_xmodal.cli.evolve_setup import Setup
    from namm_xmodal.config.train import TrainConfig
    from namm_xmodal.gradient.ranking import RankingBatches
    from namm_xmodal.gradient.sample import Vector
    from namm_xmodal.policies.namm import Namm

RANKED = "ranking.json"


def train_command(
    config: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a shipped one (`namm-xmodal list configs`).")
    ],
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: `run` of the file.", show_default=False)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change one value: `--set ranking.steps=1000`."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Number of local processes for gradients and evolution; default: as in the file.", min=1),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Train one NAMM for several models and modalities: first on later attention, then on the tasks.

    The unpruned models of `traces` read unlabelled inputs once; the scorer learns to rank tokens by the attention that
    they receive later. Straight-through gradients on the tasks follow, with the ranking as a second loss, and, if
    `generations` is set, evolution. With `sharing: head` training ends after the ranking, with one network per kv head.
    If the command is interrupted, run it again to resume.

    Example: `namm-xmodal train train/smoke --run runs/first`
    """
    from namm_xmodal.cli.console import console, notice
    from namm_xmodal.cli.evolve_preflight import check_run
    from namm_xmodal.cli.evolve_setup import make_setup
    from namm_xmodal.cli.folders import run_folder
    from namm_xmodal.config.train import load_train_config
    from namm_xmodal.report.words import counted

    settings = load_train_config(config, assignments or [], str(run) if run else None, workers)
    setup, folder = make_setup(settings), Path(settings.run)
    owned = run_folder(settings, "train")
    owned.check()
    check_run(setup, notice if dry_run else lambda text: None, gradient=bool(settings.gradient.steps))
    sources = ", ".join(f"{counted(each.count, 'input')} of {each.model}" for each in settings.sources().values())
    by = {"model": "", "layer": " a layer", "head": " a kv head"}[settings.sharing]
    ranking = f"traces of {sources}; {counted(settings.ranking.steps, 'step')} of ranking{by}, " if sources else ""
    console.print(
        f"{ranking}"
        f"{counted(settings.gradient.steps, 'step')} of gradients on {setup.trained_on}, "
        f"{counted(settings.generations, 'generation')}, in {folder}",
        soft_wrap=True,
    )
    if dry_run:
        return
    with resumable():
        with owned.claimed():
            _train(setup, settings, folder)
        if settings.generations:
            _evolve(settings, folder)
    where = folder / "evolution" / "policy" if settings.generations else folder / "policy"
    if settings.gradient.steps and settings.gradient.selection == "head":
        size = f"every head keeps {settings.gradient.budget:.0%} in any model"
    else:
        size = f"to set its cache size on a model: namm-xmodal calibrate {where}"
    console.print(f"the policy is in {where}; {size}", soft_wrap=True)


def _train(setup: "Setup", settings: "TrainConfig", folder: Path) -> None:
    """Traces, ranking, gradients, policy and plot; stages that are finished are not run again."""
    from namm_xmodal.cli.console import progress
    from namm_xmodal.cli.evolve_files import CONFIG, STATISTICS, save_config
    from namm_xmodal.cli.evolve_statistics import statistics_for
    from namm_xmodal.cli.warm_start import descend_to
    from namm_xmodal.config.save import to_mapping
    from namm_xmodal.fitness import make_template
    from namm_xmodal.gradient.ranking import RankingBatches, RankingSettings
    from namm_xmodal.traces.collect import check_recorded, collect, read_all

    with progress("estimating feature statistics") as on_progress:
        statistics = statistics_for(setup, folder, saved=(folder / STATISTICS).exists(), on_progress=on_progress)
    first = setup.strategy.mean if settings.start != "zeros" else None
    if not settings.traces:
        descend_to(setup, statistics, folder, first)
        return
    if not (folder / CONFIG).exists():  # what made the files of a run that is here stays on record until it may go on
        save_config(setup, statistics, folder)
    template, sources = make_template(setup.template(statistics)), settings.sources()
    place = Path(settings.recorded) if settings.recorded else folder / "traces"
    if settings.recorded is not None:
        check_recorded(sources, template, place)
    if settings.recorded is None:
        with progress("recording traces") as on_progress:
            collect(sources, template, place, on_progress)
    options = RankingSettings(**to_mapping(settings.ranking), seed=settings.seed)
    batches = RankingBatches(template, read_all(sources, template, place), options, settings.sharing)
    start = _ranked(settings, template, batches, folder, first)
    more = {
        "traces": {name: source.model for name, source in sources.items()},
        "ranking_steps": settings.ranking.steps,
        "keep_ranking": settings.keep_ranking,
    }
    if settings.gradient.steps == 0:
        save_config(setup, statistics, folder)
        _save_ranked(settings, template, start, folder / "policy", more)
        return

    def beside(parameters: "Vector", step: int) -> "Vector":
        return batches.gradient(parameters, options.steps + step, settings.keep_ranking)

    descend_to(setup, statistics, folder, start[0], beside if settings.keep_ranking else None, more)


def _save_ranked(
    settings: "TrainConfig", template: "Namm", parameters: "Vector", folder: Path, more: "Mapping[str, object]"
) -> None:
    """Writes the policy of a run without gradients; its cache size is unknown until it is calibrated."""
    from dataclasses import replace

    import torch

    from namm_xmodal.errors import ConfigError
    from namm_xmodal.gradient.run import STATE

    if (folder.parent / STATE).exists():
        raise ConfigError(f"{folder}: was made with gradient steps, but gradient.steps=0; choose another --run")
    metadata = {"method": "ranking by later attention", "seed": settings.seed, **more}
    own = torch.from_numpy(parameters).float()
    replace(template, parameters=own, sharing=settings.sharing, metadata=metadata).save_pretrained(folder)


def _ranked(
    settings: "TrainConfig", template: "Namm", batches: "RankingBatches", folder: Path, first: "Vector | None"
) -> "Vector":
    """(sets, N) after the ranking stage: of an earlier session, or new ones; minutes at most, so it is made whole."""
    import numpy as np

    from namm_xmodal.cli.console import progress
    from namm_xmodal.cli.evolve_files import write_whole
    from namm_xmodal.config.save import to_mapping
    from namm_xmodal.errors import CheckpointError, ConfigError
    from namm_xmodal.evolution.arrays import digest as digest_of
    from namm_xmodal.gradient.ranking import rank
    from namm_xmodal.trust.files import MIB
    from namm_xmodal.trust.json_text import read_json

    relevant: list[object] = [to_mapping(settings.ranking), settings.traces, settings.seed, template.features.name]
    relevant += [] if settings.sharing == "model" else [settings.sharing]
    relevant += [] if first is None else [digest_of(first)]
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:12]
    path = folder / RANKED
    if path.exists():
        known = read_json(path, error=CheckpointError, expected="the ranking stage of a run", most=256 * MIB)
        if known.get("digest") == digest:
            return np.asarray(known["parameters"], dtype=np.float64).reshape(batches.sets.count, -1)
        raise ConfigError(
            f"{path}: was made with other traces, ranking, sharing, features, start or seed; choose another --run"
        )
    with progress("ranking") as on_progress:
        steps = settings.ranking.steps
        found, losses = rank(
            batches,
            template.parameters.shape[-1],
            lambda step, loss: on_progress(step, steps, f"loss {loss:.4f}"),
            first,
        )
    shown = found[0] if len(found) == 1 else found
    write_whole(path, json.dumps({"digest": digest, "losses": losses, "parameters": shown.tolist()}) + "\n")
    return found


def _evolve(settings: "TrainConfig", folder: Path) -> None:
    """Evolution from the policy of the gradients, in a folder of its own."""
    from namm_xmodal.cli.evolve_session import run_session
    from namm_xmodal.cli.evolve_setup import make_setup
    from namm_xmodal.config.evolve import EvolveConfig
    from namm_xmodal.config.save import to_mapping
    from namm_xmodal.config.validation import validate
    from namm_xmodal.evolution.record import has_begun

    content = {key: value for key, value in to_mapping(settings).items() if key in EvolveConfig.model_fields}
    if settings.gradient.steps == 0:
        del content["gradient"]  # zero steps are no warm start
    elif settings.gradient.selection == "head":
        content |= {"threshold": -math.inf, "max_tokens": settings.gradient.budget}
    policy = str(folder / "policy")
    content |= {"run": str(folder / "evolution"), "start": policy}
    content["statistics"] = {**content["statistics"], "path": policy}
    setup = make_setup(validate(EvolveConfig, content, str(folder)))
    run_session(setup, resume=has_begun(folder / "evolution"))
