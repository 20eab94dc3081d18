"""Saves a trained small model in the published layout: float16 weights, processor, and a card with what was measured."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlavaNextVideoForConditionalGeneration

from namm_xmodal.errors import DataError
from namm_xmodal.evaluation.estimate import estimate
from namm_xmodal.language.quiet import quiet_transformers
from namm_xmodal.training.llava_small.build import make_processor, make_tokenizer
from namm_xmodal.training.llava_small.quick_score import UNSEEN, outcomes, overall, total
from namm_xmodal.training.llava_small.recipe import Recipe

_CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: video-text-to-text
---
# A LLaVA-NeXT-Video of 0.96 million parameters (seed {seed})

Trained from random weights on generated videos by `namm-xmodal prepare video`, with transformers'
`LlavaNextVideoForConditionalGeneration`. It answers eight kinds of questions about moving shapes with one word and knows
about 60 words; it knows nothing of real videos and is no derivative of any published checkpoint. Its use is to compare
memory policies and token pruners on a video model where no other can be had.

Frames are resized to 48 x 48; 6 x 6 patches are pooled to 9 tokens a frame. The prompt is
`USER: <video>\\n{{question}} ASSISTANT:`.

Training: {dense} steps on labels of pooled cells, through the projector; {qa} steps of question answering on videos of 4
to 12 frames, in the last part up to 32; {restart} of them from a raised learning rate down again, and {closing} more in
which kinds of question have fixed weights ({weights}). {minutes:.0f} minutes of CPU time on one core. The seed decides
weights and data.

Accuracy by likelihood of the options, full cache, on {clips} videos of each length that were never trained on (list
{unseen}, numbers 0 to {last}; accuracy on the first 40 of 8 frames was written down during training and decided nothing
but when the recipe was good enough, the order of videos in the last steps of seed 1 included). In brackets 95% bootstrap
intervals over videos.

{table}
"""


def export(
    model: LlavaNextVideoForConditionalGeneration,
    folder: Path,
    *,
    seed: int,
    recipe: Recipe,
    seconds: float,
    clips: int = 200,
    lengths: tuple[int, ...] = (8, 16, 32),
) -> dict[int, float]:
    """Rounds weights to float16, measures what that model does, and writes everything.

    Args:
        model: The trained model; its weights are rounded in place.
        folder: Gets config.json, model.safetensors, processor and tokenizer files, README.md and measured.json.
        seed: Of the training.
        recipe: Of the training.
        seconds: CPU time of the training.
        clips: Unseen videos of each length.
        lengths: Frames of these videos.

    Returns:
        Overall accuracy by number of frames.

    Raises:
        DataError: If the folder cannot be written.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    tokenizer = make_tokenizer()
    found = {frames: outcomes(model, tokenizer, clips, frames) for frames in lengths}
    measured: dict[str, Any] = {
        "seed": seed,
        "videos": {"list": UNSEEN, "numbers": [0, clips - 1]},
        "clips_of_each_length": clips,
        "cpu_seconds_of_training": round(seconds),
        "by_frames": {str(frames): measured_outcomes(of) for frames, of in found.items()},
    }
    card = _CARD.format(
        seed=seed,
        dense=recipe.dense_steps,
        qa=recipe.qa_steps + recipe.restart_steps,
        restart=recipe.restart_steps,
        closing=recipe.closing_steps,
        weights=", ".join(f"{kind} {weight:g}" for kind, weight in recipe.closing_weights.items()),
        minutes=seconds / 60,
        clips=clips,
        unseen=UNSEEN,
        last=clips - 1,
        table=outcome_table(measured["by_frames"], "frames"),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as temporary:
            place = Path(temporary) / "model"
            with quiet_transformers():
                make_half(model).save_pretrained(place)
                make_processor().save_pretrained(place)
            (place / "README.md").write_text(card, encoding="utf-8")
            (place / "measured.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
            for file in sorted(place.iterdir()):
                file.chmod(0o644)
                file.replace(folder / file.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror}); choose another --output") from None
    return {frames: overall(total(of)) for frames, of in found.items()}


def make_half(model: LlavaNextVideoForConditionalGeneration) -> LlavaNextVideoForConditionalGeneration:
    """A float16 copy."""
    with torch.random.fork_rng():
        copy = LlavaNextVideoForConditionalGeneration(model.config).half()
    copy.load_state_dict({name: value.half() for name, value in model.state_dict().items()})
    return copy


def measured_outcomes(found: Sequence[Mapping[str, bool]]) -> dict[str, Any]:
    """Of videos of one sort: shares, counts and intervals."""
    counts = total(found)
    every = _interval([(video, right) for video, each in enumerate(found) for right in each.values()])
    by_kind = {
        kind: _interval([(video, each[kind]) for video, each in enumerate(found) if kind in each]) for kind in counts
    }
    return {
        "overall": round(overall(counts), 4),
        "questions": sum(asked for _, asked in counts.values()),
        "interval_95": every,
        "right_and_asked_by_kind": counts,
        "interval_95_by_kind": by_kind,
    }


def outcome_table(measured: Mapping[str, Any], what: str, kinds: Sequence[str] = ()) -> str:
    """Rows of `measured_outcomes` as Markdown.

    Args:
        measured: By row.
        what: Head of the first column.
        kinds: Columns in order; all in alphabetical order without them.
    """
    kinds = kinds or sorted({kind for found in measured.values() for kind in found["right_and_asked_by_kind"]})
    lines = [f"| {what} | all | {' | '.join(kinds)} |", f"|---|---|{'---|' * len(kinds)}"]
    for row, found in measured.items():
        cells = []
        for kind in kinds:
            right, asked = found["right_and_asked_by_kind"].get(kind, (0, 0))
            between = found["interval_95_by_kind"].get(kind)
            cells.append(f"{right / asked:.2f}{_between(between, 2)} (n = {asked})" if asked else "-")
        every = f"{found['overall']:.3f}{_between(found['interval_95'], 3)} (n = {found['questions']})"
        lines.append(f"| {row} | {every} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _between(ends: tuple[float | None, float | None], digits: int) -> str:
    """An interval in brackets; nothing for a single video, which has none."""
    low, high = ends
    return "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"


def _interval(answers: Sequence[tuple[int, bool]]) -> tuple[float | None, float | None]:
    """95% interval of the share of right answers; whole videos are drawn, since their questions are not independent."""
    found = estimate([float(right) for _, right in answers], clusters=[video for video, _ in answers])
    return (None if found.low is None else round(found.low, 4), None if found.high is None else round(found.high, 4))
