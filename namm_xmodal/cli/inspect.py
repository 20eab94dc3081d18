"""`namm-xmodal inspect`: what a policy keeps of a text, as a picture."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from namm_xmodal.types import ReadingSchedule

PICTURES = (".png", ".svg", ".pdf")


def inspect_command(
    video: Annotated[
        str | None,
        typer.Argument(help="A video file, or generated:N for clip N of the generated ones.", show_default=False),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help=("Inspect a text instead of a video: a text file, or - for standard input."), show_default=False
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A name of `namm-xmodal list models`, a folder or a hub id.",
            show_default="smollm2-135m or llava-small",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="A name of `namm-xmodal list policies`; may be repeated for a video.",
            show_default="h2o; several for a video",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help=(
                "Cache size: 0.25 is a quarter of the tokens seen (of a video: of its visual tokens), 64 is 64 tokens."
            ),
            show_default=False,
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the policy: `--set path=my-namm`."),
    ] = None,
    update_every: Annotated[
        int | None, typer.Option(help="Tokens between two updates.", min=1, show_default="64; 16 for a video")
    ] = None,
    schedule: Annotated[
        str,
        typer.Option(
            help=(
                "streaming; post_context: one update, before the question; or post_prefill: one update, after the "
                "whole prompt."
            )
        ),
    ] = "streaming",
    protect_first: Annotated[
        int | None, typer.Option(help="Oldest tokens that are never evicted.", min=0, show_default="4; 1 for a video")
    ] = None,
    protect_recent: Annotated[
        int | None, typer.Option(help="Newest tokens that are never evicted.", min=0, show_default="8; 4 for a video")
    ] = None,
    tokens: Annotated[int, typer.Option(help="Text: use at most this many tokens of it.", min=2)] = 1024,
    question: Annotated[
        str | None,
        typer.Option(help="Question about the video, or text that is read after the text.", show_default=False),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            help="Video: an answer option; may be repeated. Without options, the most likely answers of "
            "the model are shown.",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(help="Video: number of frames.", min=1)] = 16,
    sampler: Annotated[
        str, typer.Option(help="Video: linspace, longvideobench, segment_centres or inner_points.")
    ] = "linspace",
    layer: Annotated[
        int | None, typer.Option(help="Video: show only this layer.", min=0, show_default="average of all")
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    output: Annotated[
        Path,
        typer.Option(
            help=("Output picture (.png, .svg, .pdf); a .json, and for a video an .mp4, is written next to it.")
        ),
    ] = Path("inspect.png"),
) -> None:
    """Draw what a policy keeps: of a text, tokens along x and layers and heads along y; of a video, its frames.

    Evicted patches of a video are dimmed, on a contact sheet and in an MP4, next to the probabilities of the answers.

    Example: `namm-xmodal inspect --policy snapkv --budget 0.25 --text README.md --output snapkv.png`, or
    `namm-xmodal inspect clip.mp4 --question "what colour comes first?" --option red --option blue`
    """
    from namm_xmodal.errors import ConfigError

    if (video is None) == (text is None):
        raise ConfigError("expected either a video (a file, or generated:0) or --text with a text file")
    if output.suffix.lower() not in PICTURES:
        raise ConfigError(f"--output {output}: expected a name that ends in {', '.join(PICTURES)}")
    if schedule not in get_args(ReadingSchedule):
        raise ConfigError(f"--schedule {schedule!r}: expected {', '.join(get_args(ReadingSchedule))}")
    if schedule == "post_context" and text is not None and not question:
        raise ConfigError("--schedule post_context: expected a --question, which is read after the text was pruned")
    if text is not None and (layer is not None or options):
        given = "--option" if options else f"--layer {layer}"
        raise ConfigError(f"{given}: of a video only; a text is drawn with all its layers, leave it out")
    pruning: ReadingSchedule = schedule  # type: ignore[assignment]
    if video is not None:
        from namm_xmodal.cli.inspect_video import POLICIES, inspect_video_file

        inspect_video_file(
            video,
            question=question,
            options=options or (),
            model=model or "llava-small",
            policies=policy or POLICIES,
            assignments=assignments or (),
            budget=budget,
            update_every=update_every or 16,
            schedule=pruning,
            protect_first=1 if protect_first is None else protect_first,
            protect_recent=4 if protect_recent is None else protect_recent,
            frames=frames,
            sampler=sampler,
            layer=layer,
            dtype=dtype,
            output=output,
        )
        return
    assert text is not None
    _inspect_text(
        text,
        model or "smollm2-135m",
        policy or ["h2o"],
        budget,
        assignments or [],
        update_every or 64,
        pruning,
        question or "",
        4 if protect_first is None else protect_first,
        8 if protect_recent is None else protect_recent,
        tokens,
        dtype,
        output,
    )


def _inspect_text(
    text: str,
    model: str,
    policies: list[str],
    budget: str | None,
    assignments: list[str],
    update_every: int,
    schedule: ReadingSchedule,
    question: str,
    protect_first: int,
    protect_recent: int,
    tokens: int,
    dtype: str,
    output: Path,
) -> None:
    from namm_xmodal.config import build_policy
    from namm_xmodal.config.overrides import apply_overrides
    from namm_xmodal.disk.own_files import check_outputs
    from namm_xmodal.errors import ConfigError

    if len(policies) > 1:
        raise ConfigError(f"--policy: {len(policies)} given, expected one for a text; run the command once per policy")
    (policy,) = policies
    data = output.with_suffix(".json")
    check_outputs([output, data], [] if text == "-" else [Path(text)])
    content = read_text(text)
    changes = [*assignments, *([f"budget={budget}"] if budget is not None else [])]
    chosen = None if policy == "full" else build_policy(apply_overrides({"policy": policy}, changes))
    if chosen is not None:
        chosen.check_clock(update_every if schedule == "streaming" else None, protect_first, protect_recent)

    from namm_xmodal.cli.console import console
    from namm_xmodal.language.models import load_language_model
    from namm_xmodal.modalities.language.inspection import inspect_text
    from namm_xmodal.report.keep_picture import draw_inspection

    loaded = load_language_model(model, dtype=dtype)
    inspection = inspect_text(
        loaded.model,
        loaded.tokenizer,
        chosen,
        content,
        update_every=update_every,
        schedule=schedule,
        question=question,
        protect_first=protect_first,
        protect_recent=protect_recent,
        limit=tokens,
    )
    with writing(output):
        draw_inspection(inspection, output)
        write_numbers(data, inspection.to_json())
    console.print(
        f"{inspection.policy}: keeps {inspection.kept_fraction:.1%} of {len(inspection.tokens)} tokens", soft_wrap=True
    )
    console.print(f"{output} and {data} written", soft_wrap=True)


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Turns a disk error while pictures are written into one line.

    Raises:
        ConfigError: In place of an OSError.
    """
    from namm_xmodal.disk.trouble import disk_trouble
    from namm_xmodal.errors import ConfigError

    try:
        yield
    except OSError as error:
        trouble = disk_trouble(error, "run the command again, or choose another --output")
        raise ConfigError(f"--output {output}: cannot be written; {trouble}") from None


def write_numbers(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the numbers behind a picture as JSON, with the version that made it."""
    from namm_xmodal.disk.own_files import software
    from namm_xmodal.disk.whole_file import replace_text

    replace_text(path, json.dumps({"software": software(), **content}) + "\n")


def read_text(name: str) -> str:
    """The text of a file or of standard input.

    Raises:
        DataError: If there is no such file, or it is not text.
    """
    from namm_xmodal.errors import DataError
    from namm_xmodal.trust.files import MIB
    from namm_xmodal.trust.files import read_text as read

    if name != "-":
        return read(Path(name), error=DataError, expected="a text file, or - for standard input", most=64 * MIB)
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise DataError("--text -: not UTF-8 text; convert it first") from None
