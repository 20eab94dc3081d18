"""`namm-xmodal eval`, `rollout` and `video-qa`: policies against the items of any mix of modalities, from one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from namm_xmodal.cli.options import Assignments, ConfigName, DryRun, Fresh, Output, Workers
from namm_xmodal.cli.resumable import resumable

if TYPE_CHECKING:
    from namm_xmodal.config import EvaluationConfig
    from namm_xmodal.evaluation.plan import SectionPlan


def evaluate_command(
    config: ConfigName,
    assignments: Assignments = None,
    output: Output = None,
    workers: Workers = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Evaluate memory policies on language, video and agents; print tables with intervals, write JSONL and a report.

    A file has a section for each modality: `language`, `video`, `rl`. Partial results are saved item by item: after
    Ctrl-C or a crash, run the command again to resume.

    Example: `namm-xmodal eval language/demo --set language.budgets=[0.5,0.25] --output results/demo`
    """
    run(load(config, assignments, output, workers), fresh, dry_run)


def rollout_command(
    config: ConfigName,
    assignments: Assignments = None,
    output: Output = None,
    workers: Workers = None,
    fresh: Fresh = False,
    video: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help=(
                "Instead of the table, film one episode of the first model under this policy of the file; `POLICY:150` "
                "picks a budget."
            ),
            show_default=False,
        ),
    ] = None,
    allow_module: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=(
                "Import this module of yours, which registers environments. Configuration files cannot import modules."
            ),
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Roll out agents with pruned memory: only the section `rl` of a file. Or film one episode.

    Example: `namm-xmodal rollout rl/tmaze --set rl.episodes=8`
    """
    settings = load(config, assignments, output, workers).only("rl", "rollout")
    for name in allow_module or ():
        from namm_xmodal.envs.environments import allow_module as allow

        allow(name)
    if video is not None and not dry_run:
        from namm_xmodal.cli.folders import eval_folder
        from namm_xmodal.cli.rollout_video import film

        with eval_folder(settings).claimed():
            film(settings, video)
        return
    run(settings, fresh, dry_run)


def video_qa_command(
    config: ConfigName,
    assignments: Assignments = None,
    output: Output = None,
    workers: Workers = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Count questions with an unusable video as wrong instead of leaving them out."),
    ] = False,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Score video questions at equal numbers of kept visual tokens: only the section `video` of a file.

    Each video is decoded and encoded once for all policies.

    Example: `namm-xmodal video-qa video/longvideobench --set video.data=PATH`
    """
    changes = [*(assignments or []), *(["video.strict=true"] if strict else [])]
    run(load(config, changes, output, workers).only("video", "video-qa"), fresh, dry_run)


def load(
    config: str, assignments: list[str] | None, output: Path | None, workers: int | None = None
) -> "EvaluationConfig":
    """The resolved configuration.

    Raises:
        ConfigError: The mistake, on one line.
    """
    from namm_xmodal.config import load_evaluation_config
    from namm_xmodal.modalities.table import MODALITIES

    changes = [*(assignments or []), *([] if workers is None else [f"workers={workers}"])]
    kinds = {name: modality.section for name, modality in MODALITIES.items()}
    return load_evaluation_config(config, kinds, changes, str(output) if output else None)


def run(settings: "EvaluationConfig", fresh: bool, dry_run: bool) -> None:
    """Runs what is missing and writes the report, or prints what would run."""
    from namm_xmodal.cli.console import console, notice, sectioned_progress
    from namm_xmodal.cli.folders import eval_folder
    from namm_xmodal.evaluation.plan import make_plan
    from namm_xmodal.evaluation.results_folder import check_results
    from namm_xmodal.modalities.table import MODALITIES

    plan = make_plan(settings, MODALITIES)
    folder = eval_folder(settings)
    if dry_run:
        folder.check()
        if not fresh:
            check_results(settings, plan, notice)
    for section in plan:
        say(section, settings)
        if dry_run:
            section.check(notice)
            say_arms(section)
    if dry_run:
        return

    from namm_xmodal.evaluation.runner import evaluate
    from namm_xmodal.report.write import write_report

    with folder.claimed(), resumable():
        with sectioned_progress("evaluating") as (on_progress, on_section):
            records = evaluate(
                settings, plan, fresh=fresh, on_progress=on_progress, on_section=on_section, notice=notice
            )
        for table in write_report(records, settings, plan, notice=notice):
            console.print(table)
    console.print(
        f"results.jsonl, summary.json, table.txt and config.yaml are in {settings.run.output}; open "
        f"{settings.folder / 'report' / 'index.html'}",
        soft_wrap=True,
    )


def say(section: "SectionPlan", settings: "EvaluationConfig") -> None:
    """What a section consists of, on one line."""
    from namm_xmodal.cli.console import console
    from namm_xmodal.report.words import counted

    console.print(
        f"{section.name}, {section.section.model}: {counted(len(section.arms), 'arm')} "
        f"({counted(len(section.section.policies), 'policy', 'policies')}) x {counted(len(section.items), 'item')} = "
        f"{counted(section.total, 'result')} in {settings.run.output}",
        soft_wrap=True,
    )


def say_arms(section: "SectionPlan") -> None:
    """Each arm of a section on a line."""
    from namm_xmodal.cli.console import console

    for arm in section.arms:
        fit = f", {arm.fit.words}" if arm.fit.words else ""
        what = arm.policy or arm.baseline or "full cache"
        console.print(f"  {arm.label}: {arm.size}, schedule {arm.schedule}{fit}: {what}", soft_wrap=True)
