"""`namm-xmodal list`: what there is, one line each, with defaults."""

import json
from typing import Annotated, Any

import typer

list_app = typer.Typer(
    help="What there is: policies, tasks, benchmarks, reductions, samplers, adapters, configs, models, strategies. "
    "Example: `namm-xmodal list policies`",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


@list_app.command()
def policies(as_json: AsJson = False) -> None:
    """Memory policies with their hyper-parameters, as written in `policies:` of a configuration."""
    from namm_xmodal.config.policies import policy_fields
    from namm_xmodal.policies.table import POLICIES

    _show(
        "policy",
        [{"name": name, "about": first_line(cls), "fields": policy_fields(name)} for name, cls in POLICIES.items()],
        as_json,
    )


@list_app.command()
def tasks(as_json: AsJson = False) -> None:
    """Language tasks with their fields, as written in `tasks:` of a configuration."""
    from namm_xmodal.config.building import defaults
    from namm_xmodal.language.table import TASKS

    _show(
        "task",
        [
            {"name": name, "about": cls.description, "fields": {"n": "required", **defaults(cls)}}
            for name, cls in TASKS.items()
        ],
        as_json,
    )


@list_app.command()
def adapters(as_json: AsJson = False) -> None:
    """Adapters: which models can be pruned."""
    from namm_xmodal.adapters.table import ADAPTERS

    _show(
        "adapter", [{"name": name, "about": first_line(cls), "fields": {}} for name, cls in ADAPTERS.items()], as_json
    )


@list_app.command()
def models(as_json: AsJson = False) -> None:
    """Models with a short name; folders and hub ids of causal language and LLaVA-NeXT-Video models work as well."""
    from namm_xmodal.language.models import list_models
    from namm_xmodal.video.models import list_video_models

    known = list_models() | list_video_models()
    _show("model", [{"name": name, "about": about, "fields": {}} for name, about in known.items()], as_json)


@list_app.command()
def benchmarks(as_json: AsJson = False) -> None:
    """Video benchmarks with their fields, as written in `options:` of a `video-qa` configuration."""
    from namm_xmodal.config.building import defaults
    from namm_xmodal.video.benchmarks.table import BENCHMARKS

    _show(
        "benchmark",
        [{"name": name, "about": first_line(cls), "fields": defaults(cls)} for name, cls in BENCHMARKS.items()],
        as_json,
    )


@list_app.command()
def reductions(as_json: AsJson = False) -> None:
    """Ways to spend fewer visual tokens before the cache, as written in `reductions:` of a `video-qa` configuration."""
    from namm_xmodal.config.building import defaults
    from namm_xmodal.video.reductions import REDUCTIONS

    kinds: dict[str, Any] = dict(REDUCTIONS)
    _show(
        "reduction",
        [{"name": name, "about": first_line(cls), "fields": defaults(cls)} for name, cls in kinds.items()],
        as_json,
    )


@list_app.command()
def samplers(as_json: AsJson = False) -> None:
    """Rules by which frames of a video are chosen, as written in `sampler:` of a `video-qa` configuration."""
    from namm_xmodal.video.samplers import SAMPLERS

    _show(
        "sampler", [{"name": name, "about": first_line(rule), "fields": {}} for name, rule in SAMPLERS.items()], as_json
    )


@list_app.command()
def strategies(as_json: AsJson = False) -> None:
    """Evolution strategies and presets with their options, as written in `strategy:` of an evolution file."""
    from namm_xmodal.evolution.table import PRESETS, STRATEGIES, strategy_options

    rows = {name: first_line(cls) for name, cls in STRATEGIES.items()}
    rows |= {name: f"Preset of {base}: {options}" for name, (base, options) in PRESETS.items()}
    _show(
        "strategy",
        [{"name": name, "about": about, "fields": strategy_options(name)} for name, about in rows.items()],
        as_json,
    )


@list_app.command()
def configs(
    as_json: AsJson = False,
    keys: Annotated[bool, typer.Option("--keys", help="List every key of an evaluation file instead.")] = False,
    evolve: Annotated[bool, typer.Option("--evolve", help="With --keys: of an evolution file.")] = False,
) -> None:
    """Shipped configurations; `--keys` explains every key that a file may hold."""
    from namm_xmodal.config import RunConfig, describe, packaged_configs

    if keys:
        from namm_xmodal.config.evolve import EvolveConfig
        from namm_xmodal.modalities.table import MODALITIES

        sections = [row for name, each in MODALITIES.items() for row in describe(each.section, f"{name}.")]
        rows = describe(EvolveConfig) if evolve else [*describe(RunConfig), *sections]
        _show(
            "key",
            [
                {"name": row.path, "about": row.help, "fields": {"type": row.type, "default": row.default}}
                for row in rows
            ],
            as_json,
        )
        return
    _show(
        "config",
        [
            {"name": name, "about": first_comment(path.read_text(encoding="utf-8")), "fields": {}}
            for name, path in packaged_configs().items()
        ],
        as_json,
    )


def first_line(cls: Any) -> str:
    """The first sentence of a class's docstring."""
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())


def first_comment(text: str) -> str:
    """The comment at the top of a YAML file, up to the first line that is no comment."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").strip())
    return " ".join(lines).split(". ")[0].rstrip(".")


def _show(kind: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.table import Table

    from namm_xmodal.cli.console import console

    table = Table(show_lines=True)
    table.add_column(kind, no_wrap=True)
    table.add_column("what it is")
    with_fields = any(row["fields"] for row in rows)
    if with_fields:
        table.add_column("fields and defaults")
    for row in rows:
        fields = "\n".join(f"{name}: {value}" for name, value in row["fields"].items())
        table.add_row(row["name"], row["about"], *([fields] if with_fields else []))
    console.print(table)
