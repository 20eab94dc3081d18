"""`namm-xmodal inspect`: what a policy keeps of a text, as a picture."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

PICTURES = (".png", ".svg", ".pdf")


def inspect_command(
    text: Annotated[str, typer.Option(help="A text file, or - for standard input.", show_default=False)],
    model: Annotated[str, typer.Option(help="A name of `list models`, a folder or a hub id.")] = "smollm2-135m",
    policy: Annotated[str, typer.Option(help="A name of `list policies`.")] = "h2o",
    budget: Annotated[
        str | None,
        typer.Option(help="Cache size: 0.25 is a quarter of the tokens seen, 64 is 64 tokens.", show_default=False),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Another field of the policy: `--set path=my-namm`."),
    ] = None,
    update_every: Annotated[int, typer.Option(help="Tokens between two updates.", min=1)] = 64,
    protocol: Annotated[str, typer.Option(help="clock, or prompt_end: one update after the whole text.")] = "clock",
    protect_first: Annotated[int, typer.Option(help="Oldest tokens that are never evicted.", min=0)] = 4,
    protect_recent: Annotated[int, typer.Option(help="Newest tokens that are never evicted.", min=0)] = 8,
    tokens: Annotated[int, typer.Option(help="Use at most this many tokens of the text.", min=2)] = 1024,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    output: Annotated[Path, typer.Option(help="The picture (.png, .svg, .pdf); a .json is written beside it.")] = Path(
        "inspect.png"
    ),
) -> None:
    """Draw what a policy keeps of a text: tokens along x, layers and heads along y, colour = kept or when evicted.

    Example: `namm-xmodal inspect --policy snapkv --budget 0.25 --text README.md --output snapkv.png`
    """
    from namm_xmodal.config import build_policy
    from namm_xmodal.config.overrides import apply_overrides
    from namm_xmodal.errors import ConfigError

    if output.suffix.lower() not in PICTURES:
        raise ConfigError(f"--output {output}: expected a name that ends in {', '.join(PICTURES)}")
    if protocol not in ("clock", "prompt_end"):
        raise ConfigError(f"--protocol {protocol!r}: expected clock or prompt_end")
    content = read_text(text)
    changes = [*(assignments or []), *([f"budget={budget}"] if budget is not None else [])]
    chosen = None if policy == "full" else build_policy(apply_overrides({"policy": policy}, changes))
    if chosen is not None:
        chosen.check_clock(update_every if protocol == "clock" else None, protect_first, protect_recent)

    from namm_xmodal.cli.console import console
    from namm_xmodal.evaluation.inspection import inspect_text
    from namm_xmodal.language.models import load_language_model
    from namm_xmodal.report.keep_picture import draw_inspection

    loaded = load_language_model(model, dtype=dtype)
    inspection = inspect_text(
        loaded.model,
        loaded.tokenizer,
        chosen,
        content,
        update_every=update_every,
        protocol="clock" if protocol == "clock" else "prompt_end",
        protect_first=protect_first,
        protect_recent=protect_recent,
        limit=tokens,
    )
    data = output.with_suffix(".json")
    try:
        draw_inspection(inspection, output)
        data.write_text(json.dumps(inspection.to_json()) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output {output}: cannot be written ({error.strerror}); choose another place") from None
    console.print(
        f"{inspection.policy}: keeps {inspection.kept_fraction:.1%} of {len(inspection.tokens)} tokens", soft_wrap=True
    )
    console.print(f"{output} and {data} written", soft_wrap=True)


def read_text(name: str) -> str:
    """The text of a file or of standard input.

    Raises:
        DataError: If there is no such file, or it is no text.
    """
    from namm_xmodal.errors import DataError

    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"--text {name}: not UTF-8 text; convert it first") from None
    except OSError as error:
        raise DataError(f"--text {name}: {error.strerror}; expected a text file, or - for standard input") from None
