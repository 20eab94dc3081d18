"""`namm-xmodal eval`: policies against tasks, from one file."""

from typing import Annotated

import typer

from namm_xmodal.cli.options import Assignments, ConfigName, DryRun, Fresh, Output


def evaluate_command(
    config: ConfigName,
    assignments: Assignments = None,
    output: Output = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Local processes, each with its own model; default: `workers` of the file.", min=1),
    ] = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
) -> None:
    """Evaluate memory policies on tasks; print a table with intervals, write JSONL, PNG and SVG.

    Results are saved sample by sample: after Ctrl-C or a crash run the same command again to resume.

    Example: `namm-xmodal eval language/demo --set budgets=[0.5,0.25] --output results/demo`
    """
    from namm_xmodal.config import load_eval_config

    changes = list(assignments or [])
    if workers is not None:
        changes.append(f"workers={workers}")
    settings = load_eval_config(config, changes, str(output) if output else None)

    from namm_xmodal.cli.console import console, notice, progress
    from namm_xmodal.cli.folders import eval_folder
    from namm_xmodal.evaluation.plan import make_plan
    from namm_xmodal.evaluation.preflight import check_evaluation
    from namm_xmodal.evaluation.runner import evaluate
    from namm_xmodal.report.words import counted

    plan = make_plan(settings)
    runs, policies = counted(len(plan.runs), "run"), counted(len(settings.policies), "policy", "policies")
    samples = counted(sum(task.count for task in plan.tasks), "sample")
    console.print(
        f"{settings.model}: {runs} ({policies}) x {samples} of {counted(len(plan.tasks), 'task')} = "
        f"{counted(plan.total, 'result')} in {settings.output}",
        soft_wrap=True,
    )
    folder = eval_folder(settings)
    if dry_run:
        folder.check()
        check_evaluation(settings, plan, notice)
        for run in plan.runs:
            size = "own size" if run.budget is None else f"budget {run.budget}"
            console.print(
                f"  {run.label}: {'everything' if run.full else size}, protocol {run.protocol}: {run.policy}"
                + ("" if run.calibrated is None else f", calibrated to keep {run.calibrated:.0%}"),
                soft_wrap=True,
            )
        return
    from namm_xmodal.report import write_report

    with folder.claimed():
        with progress("evaluating") as advance:
            records = evaluate(settings, fresh=fresh, progress=advance, notice=notice)
        for table in write_report(records, settings, console.width):
            console.print(table)
    console.print(
        f"results.jsonl, summary.json, table.txt, config.yaml, scores.png and scores.svg are in {settings.output}",
        soft_wrap=True,
    )
