"""`namm-xmodal prepare`: downloads what an evaluation needs, so that it can run offline afterwards."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from namm_xmodal.cli.resumable import resumable

prepare_app = typer.Typer(
    help="Download or make in advance what evaluations and rollouts need. Example: `namm-xmodal prepare language`",
    no_args_is_help=True,
)


@prepare_app.command("video")
def prepare_video(
    model: Annotated[
        str,
        typer.Option(help="llava-small, trained from random weights, or llava-smollm2, made of pretrained parts."),
    ] = "llava-small",
    seed: Annotated[int, typer.Option(help="Seed of weights and data.", min=0)] = 0,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Train for a few minutes instead of twenty: well above chance on a few kinds of question only.",
        ),
    ] = False,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Train for seconds: a model that knows nothing, for trying things out.")
    ] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Only download the parts of llava-smollm2, so that it runs offline.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the run. Default: runs/MODEL-SEED.", show_default=False),
    ] = None,
) -> None:
    """Train a LLaVA-NeXT-Video, or download the parts of one; trained ones ship with the package.

    `llava-small` is trained on generated videos in about 24 minutes on one core. `llava-smollm2` joins an
    EfficientNet-Lite0 and SmolLM2-135M; its projector and low-rank adapters are trained on clips composed of captioned
    pictures in about 20 minutes. After Ctrl-C or a crash, run the command again to resume.

    Load the folder `model` inside with `namm-xmodal video-qa video/offline --set video.model=FOLDER`.

    Example: `namm-xmodal prepare video --seed 1`, or `namm-xmodal prepare video --model llava-smollm2 --fetch`
    """
    from namm_xmodal.cli.console import console
    from namm_xmodal.cli.folders import training_folder
    from namm_xmodal.cli.prepare_video import fetch_parts, train_real_parts, train_small
    from namm_xmodal.errors import ConfigError, UnknownNameError

    known = ["llava-small", "llava-smollm2"]
    if model not in known:
        raise UnknownNameError("video model", model, known)
    if model == "llava-small" and fetch:
        raise ConfigError(
            "--fetch: llava-small ships with the package, so there is nothing to download; use it with --model "
            "llava-smollm2"
        )
    if model == "llava-smollm2" and quick:
        raise ConfigError("--quick: llava-smollm2 has no shorter training; use --tiny to try things out")
    if fetch:
        with resumable():
            fetch_parts()
        return
    output = output or Path(f"runs/{model}-{seed}")
    with training_folder(output).claimed(), resumable():
        if model == "llava-small":
            folder = train_small(seed, output, quick=quick, tiny=tiny)
        else:
            folder = train_real_parts(seed, output, tiny=tiny)
    console.print(f"model and card are in {folder}", soft_wrap=True)


@prepare_app.command("language")
def prepare_language(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A language model of `namm-xmodal list models`; may be repeated.",
            show_default="smollm2-135m",
        ),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--texts",
            help="A name of `namm-xmodal list texts`; may be repeated.",
            show_default="python-topics and python-source",
        ),
    ] = None,
) -> None:
    """Download and convert models, and read text sources.

    Example: `namm-xmodal prepare language --model smollm2-135m --texts python-source`
    """
    from rich.text import Text

    from namm_xmodal.cli.console import console, show_log
    from namm_xmodal.language.models import load_language_model
    from namm_xmodal.language.texts import find_texts
    from namm_xmodal.report.words import counted

    show_log(logging.INFO)
    with resumable():
        for name in texts or ("python-topics", "python-source"):
            documents = find_texts(name)
            size = sum(len(document.text) for document in documents)
            console.print(f"{name}: {counted(len(documents), 'document')}, {size / 1e6:.1f} million characters")
        for name in models or ("smollm2-135m",):
            with console.status(Text(f"{name}: downloading and converting, once")):
                loaded = load_language_model(name, dtype="float32")
            console.print(str(loaded), soft_wrap=True)


@prepare_app.command("rl")
def prepare_rl(
    environments: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            help="hopper, halfcheetah, walker2d, hopper-positions or tmaze; may be repeated.",
            show_default="hopper and tmaze",
        ),
    ] = None,
    policies: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Folder of behaviour policies: archives of stable-baselines3 in rl-zoo's layout, or .npz files. By "
                "default they are trained by augmented random search."
            ),
            show_default=False,
        ),
    ] = None,
    origin: Annotated[str, typer.Option(help="Source and licence of these policies, for the model cards.")] = "",
    dataset: Annotated[
        str | None,
        typer.Option(
            help=(
                "Train on existing data: an HDF5 file of D4RL, or the name of a Minari dataset; with --env hopper, "
                "halfcheetah or walker2d."
            ),
            show_default=False,
        ),
    ] = None,
    no_timeouts: Annotated[
        bool, typer.Option("--no-timeouts", help="Split a D4RL file without `timeouts` at terminals only.")
    ] = False,
    windows: Annotated[
        list[int] | None,
        typer.Option("--window", help="Steps of the training windows: 20, 200 or both.", show_default="both"),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Models per family.", min=1)] = 3,
    episodes: Annotated[int, typer.Option(help="Episodes per dataset tier.", min=2)] = 100,
    search_steps: Annotated[
        int | None, typer.Option(help="Environment steps of the random search; default: as in the recipe.", min=1)
    ] = None,
    updates: Annotated[
        int | None, typer.Option(help=("Training updates per model; default: as in the recipe."), min=1)
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder for policies, datasets and models; what exists is not made again.")
    ] = Path("runs/rl"),
) -> None:
    """Make behaviour policies, Minari datasets in three tiers, and Decision Transformers trained on them.

    The shipped models were made by this command; rollouts do not need it. Datasets go to MINARI_DATASETS_PATH if it is
    set, else into the output folder. After Ctrl-C, run the command again to resume.

    Example: `namm-xmodal prepare rl --env hopper --window 200 --output runs/rl`, then `namm-xmodal rollout rl/hopper
    --set rl.model=runs/rl/hopper-long`; or `namm-xmodal prepare rl --env hopper --dataset hopper_medium-v2.hdf5`
    """
    from namm_xmodal.cli.console import console, progress
    from namm_xmodal.cli.folders import families_folder
    from namm_xmodal.errors import ConfigError, UnknownNameError
    from namm_xmodal.report.words import counted
    from namm_xmodal.training.decision_transformer.locomotion import Behaviour
    from namm_xmodal.training.decision_transformer.offline import prepare_dataset, read_dataset
    from namm_xmodal.training.decision_transformer.prepare import (
        ENVIRONMENTS,
        families_of,
        prepare_locomotion,
        prepare_tmaze,
    )
    from namm_xmodal.training.decision_transformer.recipes import LONG, SHORT

    chosen = environments or ["hopper", "tmaze"]
    for name in chosen:
        if name not in ENVIRONMENTS:
            raise UnknownNameError("environment", name, list(ENVIRONMENTS))
    steps = windows or [SHORT, LONG]
    if odd := [each for each in steps if each not in (SHORT, LONG)]:
        raise ConfigError(f"--window {odd[0]}: expected {SHORT} or {LONG}")
    output = output.resolve()
    os.environ.setdefault("MINARI_DATASETS_PATH", str(output / "minari"))
    owned = families_folder(output, families_of(chosen), policies)
    if dataset is not None:
        if len(chosen) != 1 or policies is not None:
            raise ConfigError("--dataset: expected exactly one --env, and no --policies")
        owned.check()
        data = read_dataset(dataset, chosen[0], timeouts=not no_timeouts)
        with owned.claimed(), resumable(), progress(f"training on {data.source}") as on_progress:
            made = prepare_dataset(chosen[0], data, steps, range(seeds), output, on_progress, updates)
        for folder in made:
            console.print(f"{folder}: {seeds} models; see {folder / 'README.md'}", soft_wrap=True)
        return
    behaviour = Behaviour(policies, episodes=episodes, steps=search_steps, origin=origin)
    with owned.claimed(), resumable():
        Path(os.environ["MINARI_DATASETS_PATH"]).mkdir(parents=True, exist_ok=True)
        for name in chosen:
            with progress(f"preparing {name}") as on_progress:
                if name == "tmaze":
                    made = prepare_tmaze(range(seeds), output, on_progress, updates)
                else:
                    made = prepare_locomotion(name, behaviour, steps, range(seeds), output, on_progress, updates)
            for folder in made:
                console.print(f"{folder}: {counted(seeds, 'model')}; see {folder / 'README.md'}", soft_wrap=True)
