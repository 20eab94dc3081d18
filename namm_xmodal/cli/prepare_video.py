"""The work of `namm-xmodal prepare video`, for each model."""

from pathlib import Path


def train_small(seed: int, output: Path, *, quick: bool, tiny: bool) -> Path:
    """Trains, measures and saves `llava-small`; returns the folder of the model."""
    from namm_xmodal.cli.console import console, progress
    from namm_xmodal.training.llava_small.export import export
    from namm_xmodal.training.llava_small.recipe import QUICK, TINY, Recipe
    from namm_xmodal.training.llava_small.train import seconds_so_far, train

    recipe = TINY if tiny else QUICK if quick else Recipe()
    with progress("training") as on_progress:
        model = train(seed, output, recipe, on_progress, score_clips=2 if tiny else 40)
    clips = 2 if tiny else 200
    with console.status("measuring on unseen videos"):
        seconds = seconds_so_far(output)
        found = export(model, output / "model", seed=seed, recipe=recipe, seconds=seconds, clips=clips)
    for frames, share in found.items():
        console.print(f"{frames} frames: {share:.1%} of all questions correct ({clips} unseen videos)")
    return output / "model"


def train_real_parts(seed: int, output: Path, *, tiny: bool) -> Path:
    """Trains, measures and saves `llava-smollm2`; returns the folder of the model."""
    from namm_xmodal.cli.console import console, progress
    from namm_xmodal.training.llava_small.train import seconds_so_far
    from namm_xmodal.training.llava_smollm2.export import export_parts
    from namm_xmodal.training.llava_smollm2.recipe import TINY, PartsRecipe
    from namm_xmodal.training.llava_smollm2.train import train_parts
    from namm_xmodal.video.parts.parts import Parts

    parts, recipe = Parts(), TINY if tiny else PartsRecipe()
    with progress("training") as on_progress:
        trained = train_parts(parts, seed, output, recipe, on_progress)
    clips = 1 if tiny else 80
    with console.status("measuring on unseen clips"):
        seconds = seconds_so_far(output)
        found = export_parts(trained, parts, output / "model", seed=seed, recipe=recipe, seconds=seconds, clips=clips)
    for pictures, share in found.items():
        console.print(f"{pictures} pictures: {share:.1%} of all questions correct ({clips} clips)")
    return output / "model"


def fetch_parts() -> None:
    """Fetches and converts the parts of `llava-smollm2` and the pictures of its benchmark."""
    from namm_xmodal.cli.console import console
    from namm_xmodal.video.composed.pictures import find_pictures
    from namm_xmodal.video.models import load_video_model

    with console.status("llava-smollm2: downloading and converting, once"):
        console.print(str(load_video_model("llava-smollm2", dtype="float32")), soft_wrap=True)
    with console.status("pictures: downloading, once"):
        pictures = find_pictures()
    console.print(
        f"{len(pictures)} captioned pictures, {sum(picture.new for picture in pictures)} of them for evaluation"
    )
