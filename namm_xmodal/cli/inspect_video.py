"""`namm-xmodal inspect VIDEO`: which patches of which frames policies evict, as a contact sheet and a video."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.types import ReadingSchedule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GENERATED = "generated:"
POLICIES = ("full", "recency", "keydiff", "h2o", "snapkv")


def inspect_video_file(
    video: str,
    *,
    question: str | None,
    options: Sequence[str],
    model: str,
    policies: Sequence[str],
    assignments: Sequence[str],
    budget: str | None,
    update_every: int,
    schedule: ReadingSchedule,
    protect_first: int,
    protect_recent: int,
    frames: int,
    sampler: str,
    layer: int | None,
    dtype: str,
    output: Path,
) -> None:
    """Asks a question about a video under several policies and draws what each kept.

    Raises:
        NammError: On the user's mistakes, in one line.
    """
    from namm_xmodal.cli.console import console
    from namm_xmodal.cli.inspect import write_numbers, writing
    from namm_xmodal.disk.own_files import check_outputs
    from namm_xmodal.video.samplers import check_sampler

    share = _share(budget)
    check_sampler(sampler)
    movie, data = output.with_suffix(".mp4"), output.with_suffix(".json")
    check_outputs([output, movie, data], [] if video.startswith(GENERATED) else [Path(video)])
    makers = {
        name: _maker(name, assignments, update_every, schedule, protect_first, protect_recent) for name in policies
    }
    pictures, asked, choices = _read(video, question, options, frames, sampler)

    from namm_xmodal.modalities.video.inspection import inspect_video
    from namm_xmodal.report.video_picture import contact_sheet, film
    from namm_xmodal.video.models import load_video_model

    loaded = load_video_model(model, dtype=dtype)
    layers = int(loaded.model.config.get_text_config(decoder=True).num_hidden_layers)
    if layer is not None and not 0 <= layer < layers:
        raise ConfigError(f"--layer {layer}: expected a layer from 0 to {layers - 1}")
    found = inspect_video(
        loaded,
        pictures,
        asked,
        choices,
        makers,
        share=share,
        update_every=update_every,
        schedule=schedule,
        protect_first=protect_first,
        protect_recent=protect_recent,
    )
    content = {
        "video": video,
        "question": asked,
        "frames": len(pictures),
        "policies": [each.to_json() for each in found],
    }
    with writing(output):
        contact_sheet(pictures, found, asked, output, layer)
        film(pictures, found, movie, layer)
        write_numbers(data, content)
    console.print(f"{asked}  ({len(pictures)} frames, {share:.0%} of the visual tokens)", soft_wrap=True)
    for each in found:
        best = sorted(each.probabilities.items(), key=lambda item: -item[1])[:3]
        told = ", ".join(f"{option} {value:.2f}" for option, value in best)
        console.print(f"  {each.policy}: keeps {each.kept.mean():.0%}; {told}", soft_wrap=True)
    console.print(f"{output}, {movie} and {data} written", soft_wrap=True)


def _share(budget: str | None) -> float:
    try:
        share = 0.25 if budget is None else float(budget)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigError(f"--budget {budget}: expected a share of the visual tokens in (0, 1], such as 0.25")
    return share


def _maker(
    name: str,
    assignments: Sequence[str],
    update_every: int,
    schedule: ReadingSchedule,
    protect_first: int,
    protect_recent: int,
) -> Any:
    """The policy before its budget is set; None for the full cache."""
    from namm_xmodal.config import build_policy
    from namm_xmodal.config.overrides import apply_overrides

    if name == "full":
        return None
    spec: dict[str, Any] = {"policy": name}
    if name == "snapkv":
        spec |= {"window": 4, "kernel": 1}  # the question of a short prompt
    policy = build_policy(apply_overrides(spec, assignments))
    policy.check_clock(update_every if schedule == "streaming" else None, protect_first, protect_recent)
    return policy


def _read(
    video: str, question: str | None, options: Sequence[str], frames: int, sampler: str
) -> "tuple[NDArray[np.uint8], str, tuple[str, ...]]":
    """Frames, question and options."""
    if video.startswith(GENERATED):
        from namm_xmodal.video.benchmarks.made import FIRST_SEED
        from namm_xmodal.video.procedural.clip import make_clip

        number = video.removeprefix(GENERATED)
        if not number.isdigit():
            raise ConfigError(f"{video}: expected {GENERATED} and a number, such as {GENERATED}3")
        clip = make_clip(FIRST_SEED, int(number), frames)
        known = {each.text: each for each in clip.questions}
        asked = question or clip.questions[0].text
        choices = tuple(options) or (known[asked].options if asked in known else ())
        return clip.video, asked, choices
    if question is None:
        raise DataError(
            "--question: missing; expected a question about the video, such as --question 'what happens first?'"
        )
    from namm_xmodal.video.clip import FrameRequest
    from namm_xmodal.video.load import load_video

    found = load_video(FrameRequest(Path(video), frames, sampler, salvage=True))
    for note in found.notes:
        from namm_xmodal.cli.console import notice

        notice(f"{video}: {note}")
    return found.frames, question, tuple(options)
