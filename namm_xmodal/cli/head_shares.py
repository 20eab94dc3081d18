"""`namm-xmodal head-shares`: how much of a budget each head of a model needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from namm_xmodal.cli.options import ConfigName, DryRun
from namm_xmodal.cli.resumable import resumable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namm_xmodal.config.head_shares import HeadSharesConfig
    from namm_xmodal.gradient.divide import DivisionRun
    from namm_xmodal.policies.head_shares import HeadShares

SHARES, SCORES = "head_shares.json", "retrieval.json"


def head_shares_command(
    config: ConfigName,
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: `run` of the file.", show_default=False)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change one value: `--set agree.language.model=PATH`."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Find how much of a budget each head of a model needs, from unlabelled inputs.

    A few heads attend far back, the others mostly to nearby tokens. Starting from even shares, each step uses gradients
    to find the heads in which one more token brings the pruned model closest to its outputs with the full cache, and
    moves shares there. The result is a file for `shares` of the policy `by_head`, for any budget. If the command is
    interrupted, run it again to resume. `method: duo_attention` is the baseline: heads whose mean query attends far
    back keep everything, the others a window.

    Example: `namm-xmodal head-shares shares/smollm2 --run runs/shares`
    """
    from namm_xmodal.cli.agree_preflight import check_evicts, check_source
    from namm_xmodal.cli.console import console, notice
    from namm_xmodal.cli.folders import division_folder
    from namm_xmodal.config.blame import named
    from namm_xmodal.config.head_shares import load_head_shares_config
    from namm_xmodal.errors import ConfigError
    from namm_xmodal.report.words import counted
    from namm_xmodal.unlabelled.opening import count_inputs

    settings = load_head_shares_config(config, assignments or [], str(run) if run else None)
    owned, sources = division_folder(settings), settings.sources()
    owned.check()
    _refuse_other_run(settings)
    for name, source in sources.items():
        with named(f"agree.{name}"):
            check_source(source, settings.samples, notice if dry_run else lambda text: None)
            if count_inputs(source) > source.count:  # of each model of a family of agents
                raise ConfigError(
                    "model_seeds: all models of the family, but head shares belong to one model; set model_seeds: [0]"
                )
            check_evicts(
                source,
                budget=settings.budget,
                floor=source.floor or 0,
                share_of=source.share_of or "seen",
                protected=(settings.protect_first, settings.protect_recent),
            )
    model = _model(settings)
    if settings.method == "agreement":
        passes = settings.steps * settings.samples * len(sources)
        work = f"{counted(settings.steps, 'step')}, {passes} forward and backward passes"
    else:
        passes = sum(source.count - settings.held_out for source in sources.values())
        work = f"{counted(passes, 'forward pass', 'forward passes')}"
    console.print(f"{model}: {work}, at {settings.budget:.0%} of the cache, in {settings.run}", soft_wrap=True)
    if dry_run:
        return
    with owned.claimed(), resumable():
        _divide(settings, model)


def _divide(settings: "HeadSharesConfig", model: str) -> None:
    """All steps, the file, its verdict and the picture."""
    from functools import cache

    import numpy as np

    from namm_xmodal.cli.console import console, progress
    from namm_xmodal.cli.evolve_files import guarded
    from namm_xmodal.config.save import to_yaml
    from namm_xmodal.disk.whole_file import replace_text
    from namm_xmodal.evaluation.estimate import paired
    from namm_xmodal.fitness import AgreeSettings
    from namm_xmodal.fitness.agree import AgreeObjective
    from namm_xmodal.gradient.divide import DivisionRun
    from namm_xmodal.language.models import load_language_model
    from namm_xmodal.policies.namm import Namm
    from namm_xmodal.report.division import plot_division

    folder = Path(settings.run)
    pruning = AgreeSettings(
        settings.sources(), protect_first=settings.protect_first, protect_recent=settings.protect_recent
    )
    load = cache(load_language_model)  # sources share the model
    objective = AgreeObjective(pruning, Namm.untrained(), load)  # which scores no NAMM here
    run = DivisionRun(
        objective,
        settings.ranking(),
        settings.budget,
        samples=settings.samples,
        held_out=settings.held_out,
        seed=settings.seed,
    )
    guarded(folder / "config.yaml", lambda: replace_text(folder / "config.yaml", to_yaml(settings)))
    texts = ", ".join(
        f"{source.count - settings.held_out} inputs of {name}" for name, source in settings.sources().items()
    )
    if settings.method == "agreement":
        found, losses = _by_gradients(settings, run, f"on {texts}, seed {settings.seed}")
    else:
        found, losses = _by_retrieval(settings, run, f"of {texts}"), []
    total = 2 * settings.held_out * len(settings.sources())
    with progress("judging") as on_progress:
        done = iter(range(1, total + 1))

        def read() -> None:
            on_progress(next(done), total, "")

        even, divided = run.judge(None, read), run.judge(found, read)
    guarded(folder / SHARES, lambda: found.save(folder / SHARES))
    guarded(folder / "plot.png", lambda: plot_division(found, losses, folder / "plot.png", model))
    gained = paired(divided, even)
    within = "" if gained.low is None else f" [{gained.low:+.3g}, {gained.high:+.3g}]"
    console.print(
        f"distance to the full cache at {settings.budget:.0%}, {len(even)} other inputs: {np.mean(even):.3g} nats with "
        f"even shares, {np.mean(divided):.3g} with these, {gained.value:+.3g}{within}\n"
        f"{folder / SHARES} is for `shares` of the policy by_head; {folder / 'plot.png'} shows them",
        soft_wrap=True,
    )


def _by_gradients(settings: "HeadSharesConfig", run: "DivisionRun", texts: str) -> "tuple[HeadShares, Sequence[float]]":
    """All steps that the folder does not hold yet: shares, and the loss of every step."""
    from namm_xmodal.cli.console import progress
    from namm_xmodal.gradient.divide import divide

    with progress("dividing") as on_progress:

        def on_step(step: int, loss: float) -> None:
            on_progress(step, settings.steps, f"{loss:.3g} nats")

        division = divide(run, settings.steps, settings.rate, Path(settings.run), _decisive(settings), on_step)
    return division.answer(f"{_model(settings)}, {division.step} steps {texts}"), division.losses


def _by_retrieval(settings: "HeadSharesConfig", run: "DivisionRun", texts: str) -> "HeadShares":
    """Shares by how far back heads attend; scoring takes minutes at most, so it is not resumed halfway."""
    from itertools import islice

    from namm_xmodal.cli.console import progress
    from namm_xmodal.cli.evolve_files import guarded
    from namm_xmodal.errors import DataError
    from namm_xmodal.traces.retrieval_heads import retrieval_scores, save_scores, saved_scores, shares_of
    from namm_xmodal.unlabelled.opening import open_source

    path = Path(settings.run) / SCORES
    scores = saved_scores(path, _decisive(settings))
    if scores is not None and scores.shape != run.shape:
        raise DataError(
            f"{path}: has scores for {tuple(scores.shape)} layers and kv heads, expected {run.shape}; remove the file, "
            "or choose another --run"
        )
    if scores is None:
        counts = [(source, source.count - settings.held_out) for source in settings.sources().values()]
        with progress("reading") as on_progress:
            inputs = (each for source, count in counts for each in islice(open_source(source), count))
            total = sum(count for _, count in counts)
            scores = retrieval_scores(inputs, lambda done: on_progress(done, total, ""))
        guarded(path, lambda: save_scores(scores, path, _decisive(settings)))
    source = f"{_model(settings)}, DuoAttention on the fly, means {texts}"
    return shares_of(scores, settings.budget, settings.window, source)


def _refuse_other_run(settings: "HeadSharesConfig") -> None:
    """A folder holds one run, of one method.

    Raises:
        ConfigError: With the first setting that differs.
    """
    from namm_xmodal.config.loader import load_mapping
    from namm_xmodal.config.save import changes, to_mapping
    from namm_xmodal.errors import ConfigError
    from namm_xmodal.gradient.divide import STATE

    written = Path(settings.run) / "config.yaml"
    if written.exists():
        before, now = load_mapping(written), to_mapping(settings)
        decisive = (before.keys() & now.keys()) - {"run", *settings.ignored()}  # an older run has fewer keys
        changed = changes({key: before[key] for key in sorted(decisive)}, {key: now[key] for key in sorted(decisive)})
        if changed:
            words = ", ".join(f"{key} ({old!r}, now {new!r})" for key, old, new in changed)
            raise ConfigError(f"{settings.run}: holds a run with other settings: {words}; choose another --run")
    other = Path(settings.run) / (SCORES if settings.method == "agreement" else STATE)
    if other.exists():
        raise ConfigError(f"{other}: was written by another method than {settings.method}; choose another --run")


def _decisive(settings: "HeadSharesConfig") -> str:
    """Digest of all settings that decide the result."""
    from namm_xmodal.config.save import digest, to_mapping

    left_out = {"run", *settings.ignored(), *(["method"] if settings.method == "agreement" else [])}  # as in older runs
    return digest({key: value for key, value in to_mapping(settings).items() if key not in left_out})


def _model(settings: "HeadSharesConfig") -> str:
    return next(iter(settings.sources().values())).model
