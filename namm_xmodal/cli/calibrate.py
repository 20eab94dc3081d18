"""`namm-xmodal calibrate`: sets a NAMM's thresholds so that it keeps a given share of a model's cache, at any length."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from namm_xmodal.cli.options import DryRun

if TYPE_CHECKING:
    from namm_xmodal.evaluation.meaning import Pruning


def calibrate_command(
    policy: Annotated[str, typer.Argument(help="A saved NAMM: folder, shipped name or hub id.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder for the calibrated policy.", show_default=False)],
    budget: Annotated[float, typer.Option(help="Share of the tokens seen to keep after every update.")] = 0.25,
    floor: Annotated[int, typer.Option(help="Minimum number of tokens to keep, up to --length.", min=0)] = 96,
    beyond: Annotated[
        str,
        typer.Option(
            help=("After more than --length tokens: hold the share (hold), or use the last threshold (last).")
        ),
    ] = "hold",
    model: Annotated[
        str, typer.Option(help="A name of `namm-xmodal list models`, a folder or a hub id.")
    ] = "smollm2-135m",
    statistics: Annotated[
        str, typer.Option(help="Feature statistics: frozen, as saved, or estimated on this model.")
    ] = "frozen",
    texts: Annotated[str, typer.Option(help="Texts to read: a name of `namm-xmodal list texts`.")] = "python-topics",
    length: Annotated[
        int, typer.Option(help=("Tokens per text; thresholds are found up to this length."), min=32)
    ] = 1536,
    count: Annotated[int, typer.Option(help="Texts.", min=1)] = 6,
    update_every: Annotated[int, typer.Option(help="Tokens between two updates.", min=1)] = 128,
    protect_first: Annotated[int, typer.Option(help="Oldest tokens that are never evicted.", min=0)] = 4,
    protect_recent: Annotated[int, typer.Option(help="Newest tokens that are never evicted.", min=0)] = 8,
    seed: Annotated[int, typer.Option(help="Seed for the choice of texts.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    dry_run: DryRun = False,
) -> None:
    """Find the thresholds at which a NAMM keeps a given share of plain text, and save it with them.

    No labels and no reward are used, only cache sizes. The policy's ranking of tokens does not change.

    Example: `namm-xmodal calibrate namm-smollm2 --budget 0.5 --output policies/half`, or for another model
    `namm-xmodal calibrate namm-smollm2 --model gemma3-270m --statistics estimated --budget 0.33 --output
    policies/gemma`
    """
    from dataclasses import replace

    from rich.table import Table

    from namm_xmodal.cli.console import console, notice, progress
    from namm_xmodal.cli.folders import policy_folder
    from namm_xmodal.errors import ConfigError
    from namm_xmodal.evaluation.meaning import Pruning, Reading, check_reading
    from namm_xmodal.language.models import load_language_model
    from namm_xmodal.language.precision import check_precision
    from namm_xmodal.memory.calibration import calibrate, check_share, wanted_share
    from namm_xmodal.memory.statistics import estimate_statistics
    from namm_xmodal.modalities.language.fit import SPARE, TOKENS, PlainTexts, plain_texts
    from namm_xmodal.modalities.language.preflight import not_at_hand
    from namm_xmodal.policies.namm import Namm

    choices: tuple[Literal["frozen", "estimated"], ...] = ("frozen", "estimated")
    if statistics not in choices:
        raise ConfigError(f"--statistics={statistics}: expected frozen or estimated")
    if beyond not in ("hold", "last"):
        raise ConfigError(f"--beyond={beyond}: expected hold or last")
    if length <= update_every:
        raise ConfigError(f"--length={length}: expected more than --update-every={update_every}")
    folder = policy_folder(output, policy, model)
    folder.check()
    check_share(budget)
    check_precision(dtype, "cpu")
    start = Namm.from_pretrained(policy)
    start.check_clock(update_every, protect_first, protect_recent)
    if statistics == "estimated":
        check_reading("--statistics", None, Reading("a text to estimate from", TOKENS), Pruning(update_every, 0, 1))
    _check_size(length, budget, floor, Pruning(update_every, protect_first, protect_recent))
    found_here = _check_model(model, texts, length + SPARE)
    if dry_run:
        if not found_here:
            notice(not_at_hand(model))
        console.print(f"{start}: to keep {budget:.0%} of {count} texts of {length} tokens of {texts}", soft_wrap=True)
        return
    with progress("calibrating") as on_progress:
        language = load_language_model(model, dtype=dtype)
        if statistics == "estimated":
            plain = PlainTexts(language, update_every)
            start = start.with_statistics(
                estimate_statistics(
                    language.model,
                    plain.for_statistics(),
                    start.features,
                    update_every=update_every,
                    source=f"estimated on {plain.source}",
                )
            )
        read = plain_texts(language, texts, length + SPARE, count, f"calibration {seed}")

        def on_update(seen: int, last: int) -> None:
            on_progress(seen, last, "tokens")

        found = calibrate(
            language.model,
            read,
            start,
            budget=budget,
            floor=floor,
            update_every=update_every,
            protect_first=protect_first,
            protect_recent=protect_recent,
            hold=beyond == "hold",
            on_progress=on_update,
        )
    how = {
        "budget": budget,
        "floor": floor,
        "model": language.name,
        "texts": f"{count} of {length} tokens of {texts}, seed {seed}",
        "update_every": update_every,
        "kept": {str(seen): round(share, 4) for seen, share in found.kept.items()},
    }
    made = replace(start.with_thresholds(found.schedule), metadata={**start.metadata, "calibrated": how})
    with folder.claimed():
        made.save_pretrained(output)
    table = Table("tokens seen", "threshold", "kept", "aim")
    for seen, share in found.kept.items():
        table.add_row(
            f"{seen:,}", f"{found.schedule.at(seen):+.3f}", f"{share:.1%}", f"{wanted_share(budget, floor, seen):.1%}"
        )
    console.print(table)
    console.print(f"{made} is in {output}", soft_wrap=True)


def _check_size(length: int, budget: float, floor: int, pruning: "Pruning") -> None:
    """Refuses a floor that keeps everything, and more protected tokens than the target size."""
    from namm_xmodal.errors import ConfigError
    from namm_xmodal.evaluation.meaning import Reading, check_reading
    from namm_xmodal.policies.selection import budget_tokens

    text = Reading("--length: a text", length)
    last = pruning.last_update(text)
    if floor >= last:
        raise ConfigError(
            f"--floor={floor}: keeps everything, since the last update comes after {last} tokens; use a smaller floor"
        )
    check_reading("--budget", max(budget_tokens(budget, last), floor), text, pruning)


def _check_model(model: str, texts: str, tokens: int) -> bool:
    """Refuses missing texts and lengths beyond the model's context; returns whether the model is on this machine."""
    from namm_xmodal.errors import DataError
    from namm_xmodal.language.at_hand import model_at_hand
    from namm_xmodal.language.texts import find_texts

    find_texts(texts)
    known = model_at_hand(model)
    if known is not None and known.max_context is not None and tokens > known.max_context:
        raise DataError(
            f"--length: texts are cut from {tokens} tokens, but the context of {model} is {known.max_context}; use a "
            "shorter length"
        )
    return known is not None
