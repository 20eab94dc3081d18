"""`namm-xmodal rollout`: Decision Transformers act with memories that policies prune."""

from typing import Annotated

import typer

from namm_xmodal.cli.options import Assignments, ConfigName, DryRun, Fresh, Output


def rollout_command(
    config: ConfigName,
    assignments: Assignments = None,
    output: Output = None,
    fresh: Fresh = False,
    video: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="Instead of the table, film one episode of the first model under this policy of the file; `POLICY:150` "
            "names its budget.",
            show_default=False,
        ),
    ] = None,
    allow_module: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Import this module of yours, which registers environments; no file can ask for one.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Roll out agents under memory policies; print returns and scores with intervals, write JSONL, PNG and SVG.

    Results are saved episode by episode: after Ctrl-C or a crash run the same command again to resume.

    Example: `namm-xmodal rollout rl/tmaze --set episodes=8`
    """
    from namm_xmodal.config import load_rollout_config

    settings = load_rollout_config(config, list(assignments or []), str(output) if output else None)

    for name in allow_module or ():
        from namm_xmodal.envs.environments import allow_module as allow

        allow(name)

    from namm_xmodal.cli.console import console, notice, progress
    from namm_xmodal.cli.folders import rollout_folder
    from namm_xmodal.report.rollout_summary import normaliser_of
    from namm_xmodal.report.words import counted
    from namm_xmodal.rollouts.plan import make_plan
    from namm_xmodal.rollouts.preflight import check_rollout

    plan = make_plan(settings)
    console.print(
        f"{settings.model}: {counted(len(plan), 'run')} x {counted(settings.episodes, 'episode')} of each model, in "
        f"{settings.output}",
        soft_wrap=True,
    )
    folder = rollout_folder(settings)
    if dry_run or video is None:  # a film is of one episode, and shows what it holds
        for setup in check_rollout(settings, plan, notice if dry_run else lambda text: None):
            normaliser_of(settings, setup.environment)  # says now whether the dataset of its scores is at hand
    if dry_run:
        folder.check()
        for run in plan:
            known = f", statistics {run.statistics}" if run.statistics else ""
            what = run.policy or ("full cache" if run.window is None else "recomputed window")
            console.print(f"  {run.label}: memory {run.size}{known}: {what}", soft_wrap=True)
        return
    if video is not None:
        from namm_xmodal.cli.rollout_video import film

        with folder.claimed():
            film(settings, plan, video)
        return

    from namm_xmodal.report.rollout_write import write_rollout_report
    from namm_xmodal.rollouts.runner import run_rollouts

    with folder.claimed():
        with progress("rolling out") as advance:
            records = run_rollouts(settings, fresh=fresh, progress=advance, notice=notice)
        for table in write_rollout_report(records, settings, console.width):
            console.print(table)
    survivors = ", survivors.png and .svg" if settings.survivors else ""
    console.print(
        f"results.jsonl, summary.json, table.txt, config.yaml, scores.png and .svg{survivors} are in {settings.output}",
        soft_wrap=True,
    )
