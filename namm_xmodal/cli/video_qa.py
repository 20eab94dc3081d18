"""`namm-xmodal video-qa`: policies and rivals against a video benchmark, from one file."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from namm_xmodal.cli.options import Assignments, ConfigName, DryRun, Fresh, Output


def video_qa_command(
    config: ConfigName,
    assignments: Assignments = None,
    output: Output = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Count items whose video cannot be used as wrong instead of leaving them out."),
    ] = False,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Score video questions under memory policies and token pruners; print a table with intervals, write JSONL and plots.

    Each video is decoded and encoded once for all of them. After Ctrl-C or a crash the same command goes on.

    Example: `namm-xmodal video-qa video/longvideobench --set data=PATH --set model=llava-hf/LLaVA-NeXT-Video-7B-hf`
    """
    from namm_xmodal.config.video_qa import build_benchmark, load_video_qa_config

    changes = [*(assignments or []), *(["strict=true"] if strict else [])]
    settings = load_video_qa_config(config, changes, str(output) if output else None)

    from namm_xmodal.cli.console import console, notice, progress
    from namm_xmodal.evaluation.video.plan import make_runs
    from namm_xmodal.evaluation.video.preflight import check_videos
    from namm_xmodal.evaluation.video.runner import evaluate_videos
    from namm_xmodal.report.words import counted

    runs = make_runs(settings)
    benchmark = build_benchmark(settings)
    questions = benchmark.questions()[: settings.limit]
    console.print(
        f"{settings.model} on {settings.benchmark}: {counted(len(runs), 'run')} x {counted(len(questions), 'question')} = "
        f"{counted(len(runs) * len(questions), 'result')} in {settings.output}",
        soft_wrap=True,
    )
    if dry_run:
        check_videos(settings, runs, benchmark, questions, notice)
        for run in runs:
            size = "own size" if run.budget is None else f"{run.budget:.0%} of the visual tokens"
            what: Any = "full cache" if run.full else run.policy or run.reduction
            if run.budget is not None and hasattr(what, "budget"):  # set for each prompt, to this share of its tokens
                what = replace(what, budget=run.budget)
            console.print(
                f"  {run.label}: {'everything' if run.full else size}, {run.protocol}: {what}",
                soft_wrap=True,
            )
        return
    with progress("evaluating") as advance:
        records = evaluate_videos(settings, fresh=fresh, progress=advance, notice=notice)

    from namm_xmodal.report.video_write import write_video_report

    for table in write_video_report(records, settings, console.width):
        console.print(table)
    console.print(
        "results.jsonl, summary.json, table.txt, predictions.json, config.yaml, accuracy.png and .svg are in "
        f"{settings.output}",
        soft_wrap=True,
    )
