"""`namm-xmodal list`: what there is, one line each, with defaults."""

import json
from typing import Annotated, Any

import typer

from namm_xmodal.cli.config_keys import evaluation_keys, evolution_keys, training_keys

list_app = typer.Typer(
    help=(
        "List what is available: policies, channels, tasks, suites, metrics, texts, models, benchmarks, reductions, "
        "samplers, strategies, adapters, configs. Example: `namm-xmodal list policies`"
    ),
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


@list_app.command()
def policies(as_json: AsJson = False) -> None:
    """Memory policies with their hyper-parameters, as written in `policies:` of a configuration."""
    from namm_xmodal.config.policies import policy_fields
    from namm_xmodal.policies.namm.store import shipped_policies
    from namm_xmodal.policies.table import POLICIES

    about = {name: first_line(cls) for name, cls in POLICIES.items()}
    about["namm"] += f" Shipped, as `path`: {', '.join(shipped_policies())}."
    _show(
        "policy",
        [{"name": name, "about": line, "fields": policy_fields(name)} for name, line in about.items()],
        as_json,
    )


@list_app.command()
def channels(as_json: AsJson = False) -> None:
    """Channels: what a NAMM can see of a token, with their settings, as written in `features:` of an evolution file."""
    from namm_xmodal.config.describe import as_yaml
    from namm_xmodal.policies.namm.channels import CHANNELS

    def fields(name: str) -> dict[str, str]:
        kind = CHANNELS[name]
        return {"standardise": kind.usual, **{key: as_yaml(value) for key, value in kind().config().items()}}

    _show(
        "channel",
        [{"name": name, "about": first_line(cls), "fields": fields(name)} for name, cls in CHANNELS.items()],
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
def suites(as_json: AsJson = False) -> None:
    """Long-context suites with their tasks, as written in `suite:` of a configuration."""
    from namm_xmodal.language.suites.table import list_suites

    _show(
        "suite",
        [
            {
                "name": name,
                "about": suite.about,
                "fields": {label: f"{form.metrics[0]}, {form.tokens} tokens" for label, form in suite.tasks.items()},
            }
            for name, suite in list_suites().items()
        ],
        as_json,
    )


@list_app.command()
def metrics(as_json: AsJson = False) -> None:
    """Metrics of language tasks, and the tasks whose main metric each is."""
    from namm_xmodal.language.metrics import METRICS
    from namm_xmodal.language.table import TASKS

    def fields(name: str) -> dict[str, str]:
        firsts = ", ".join(task for task, cls in TASKS.items() if cls.primary_metric == name)
        better = "higher" if METRICS[name].higher_is_better else "lower"
        return {"better": better, **({"first of": firsts} if firsts else {})}

    _show(
        "metric",
        [{"name": name, "about": each.description, "fields": fields(name)} for name, each in METRICS.items()],
        as_json,
    )


@list_app.command()
def texts(as_json: AsJson = False) -> None:
    """Sources of natural text, as written in `texts` of a task or after `--texts`."""
    from namm_xmodal.language.texts import list_texts

    _show("texts", [{"name": name, "about": about, "fields": {}} for name, about in list_texts().items()], as_json)


@list_app.command()
def adapters(as_json: AsJson = False) -> None:
    """Adapters: which models can be pruned."""
    from namm_xmodal.adapters.table import ADAPTERS

    _show(
        "adapter", [{"name": name, "about": first_line(cls), "fields": {}} for name, cls in ADAPTERS.items()], as_json
    )


@list_app.command()
def models(as_json: AsJson = False) -> None:
    """Models with a short name: language models, video models, Decision Transformers. Folders and hub ids work as well."""
    from namm_xmodal.agents.checkpoint import find_checkpoints, shipped_families
    from namm_xmodal.language.models import list_models
    from namm_xmodal.video.models import list_video_models

    known = list_models() | list_video_models()
    for family in shipped_families():
        known[family] = (
            f"Decision Transformers for `namm-xmodal rollout`, {len(find_checkpoints(family))} seeds; shipped"
        )
    _show("model", [{"name": name, "about": about, "fields": {}} for name, about in known.items()], as_json)


@list_app.command()
def benchmarks(as_json: AsJson = False) -> None:
    """Video benchmarks with their fields, as written in `options:` of a `video-qa` configuration."""
    from namm_xmodal.modalities.video.arms import benchmark_options
    from namm_xmodal.video.benchmarks.table import BENCHMARKS

    _show(
        "benchmark",
        [
            {"name": name, "about": first_line(cls), "fields": benchmark_options(name)}
            for name, cls in BENCHMARKS.items()
        ],
        as_json,
    )


@list_app.command()
def reductions(as_json: AsJson = False) -> None:
    """Pre-LLM reductions of visual tokens, as written in `reductions:` of a `video-qa` configuration."""
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
    """Samplers: rules that choose the frames of a video, as written in `sampler:` of a `video-qa` configuration."""
    from namm_xmodal.video.samplers import SAMPLERS

    _show(
        "sampler", [{"name": name, "about": first_line(rule), "fields": {}} for name, rule in SAMPLERS.items()], as_json
    )


@list_app.command()
def strategies(as_json: AsJson = False) -> None:
    """Evolution strategies and presets with their options, as written in `strategy:` of an evolution file."""
    from namm_xmodal.config.describe import as_yaml
    from namm_xmodal.evolution.table import PRESETS, STRATEGIES, strategy_options

    about = {name: first_line(cls) for name, cls in STRATEGIES.items()}
    for name, (base, preset) in PRESETS.items():
        about[name] = f"Preset of {base}: {', '.join(f'{option} {value}' for option, value in preset.items())}."

    def fields(name: str) -> dict[str, str]:
        shown = {option: as_yaml(value) for option, value in strategy_options(name).items()}
        return {**shown, "seed": "that of the file"}

    _show("strategy", [{"name": name, "about": line, "fields": fields(name)} for name, line in about.items()], as_json)


@list_app.command()
def configs(
    as_json: AsJson = False,
    keys: Annotated[bool, typer.Option("--keys", help="List the keys of an `eval` file instead.")] = False,
    evolve: Annotated[bool, typer.Option("--evolve", help="With --keys: those of an `evolve` file.")] = False,
    train: Annotated[bool, typer.Option("--train", help="With --keys: those of a `train` file.")] = False,
) -> None:
    """Shipped configurations and the command that reads each; `--keys` explains every key of a file."""
    from namm_xmodal.config import packaged_configs
    from namm_xmodal.config.commands import command_of
    from namm_xmodal.config.loader import load_mapping
    from namm_xmodal.errors import ConfigError

    if (evolve or train) and not keys:
        flag = "--evolve" if evolve else "--train"
        raise ConfigError(f"{flag}: only works with --keys; add --keys")
    if keys:
        _show("key", training_keys() if train else evolution_keys() if evolve else evaluation_keys(), as_json)
        return
    _show(
        "config",
        [
            {
                "name": name,
                "about": first_comment(path.read_text(encoding="utf-8")),
                "fields": {"command": f"namm-xmodal {command_of(load_mapping(path))}"},
            }
            for name, path in packaged_configs().items()
        ],
        as_json,
    )


def first_line(cls: Any) -> str:
    """The first sentence of a class's docstring."""
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())


def first_comment(text: str) -> str:
    """The first sentence of the comment at the top of a YAML file; commands, which are indented, are not part of it."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#") or line.startswith("#   "):
            break
        lines.append(line.lstrip("# ").strip())
    return " ".join(lines).strip().split(". ")[0].rstrip(".")


def _show(kind: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.table import Table
    from rich.text import Text

    from namm_xmodal.cli.console import console

    table = Table(show_lines=True)
    table.add_column(kind, overflow="fold")
    table.add_column("what it is", overflow="fold")
    names = list(dict.fromkeys(name for row in rows for name in row["fields"]))
    if names:
        heading = {"command": "namm-xmodal"}.get(names[0], names[0])  # a command's first word, said once
        table.add_column(heading if len(names) == 1 else "fields and defaults", overflow="fold")
    for row in rows:
        fields = [
            value.removeprefix("namm-xmodal ") if len(names) == 1 else f"{name}: {value}"
            for name, value in row["fields"].items()
        ]
        cells = [row["name"], row["about"], *(["\n".join(fields)] if names else [])]
        table.add_row(*map(Text, cells))  # as text: brackets in it are not markup
    console.print(table)
