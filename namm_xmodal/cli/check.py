"""`namm-xmodal check`: runs the contract checks on shipped and on your own implementations."""

from typing import Annotated

import typer

check_app = typer.Typer(
    help=(
        "Run the contract checks on a policy, adapter or task, or check whether a model can be pruned. Example: "
        "`namm-xmodal check policy h2o budget=0.25`"
    ),
    no_args_is_help=True,
)


@check_app.command("policy")
def check_policy_command(
    name: Annotated[str, typer.Argument(help="A name of `namm-xmodal list policies`.", show_default=False)],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Hyper-parameters, as in a configuration.")
    ] = None,
) -> None:
    """Check a policy on a small random model: chunking, padding, other rows of the batch, beams, budgets.

    Example: `namm-xmodal check policy snapkv budget=64`
    """
    from namm_xmodal.cli.console import console
    from namm_xmodal.config import build_policy
    from namm_xmodal.config.blame import blamed
    from namm_xmodal.config.overrides import apply_overrides

    with blamed(f"policy {name}"):
        policy = build_policy(apply_overrides({"policy": name}, fields or [], option=""), name)

    from namm_xmodal.policies.check import check_policy

    with blamed(f"policy {name}", policy):
        check_policy(policy)
    console.print(f"{policy}: passes the policy contract checks")


@check_app.command("adapter")
def check_adapter_command(
    name: Annotated[str, typer.Argument(help="A name of `namm-xmodal list adapters`.", show_default=False)],
    model: Annotated[
        str | None,
        typer.Option(
            help="The model to check it on: a name of `namm-xmodal list models`, a folder or a hub id.",
            show_default="tiny-random, llava-small or tmaze",
        ),
    ] = None,
) -> None:
    """Check an adapter on a model: it switches attention on and off, counts layers, and agrees with the masked oracle.

    Example: `namm-xmodal check adapter language --model smollm2-135m`
    """
    from namm_xmodal.adapters.check import check_adapter
    from namm_xmodal.adapters.table import adapter_by_name
    from namm_xmodal.cli.check_examples import EXAMPLES
    from namm_xmodal.cli.console import console
    from namm_xmodal.errors import ConfigError

    adapter = adapter_by_name(name)
    if name not in EXAMPLES:
        raise ConfigError(
            f"check adapter {name}: no example inputs for a plug-in's adapter; call namm_xmodal.check_adapter(adapter, "
            "model, inputs)"
        )
    usual, example = EXAMPLES[name]
    model = model or usual
    check_adapter(adapter, *example(model))
    console.print(f"{name} on {model}: passes the adapter contract checks")


@check_app.command("model")
def check_model_command(
    model: Annotated[
        str,
        typer.Argument(
            help="A folder in transformers' layout, a hub id, or a name of `namm-xmodal list models`.",
            show_default=False,
        ),
    ],
) -> None:
    """Check whether a model can be pruned exactly, and if not, say why. It reads random tokens in float32.

    Example: `namm-xmodal check model smollm2-135m`
    """
    from namm_xmodal.adapters.verdict import verdict_of
    from namm_xmodal.cli.check_models import load_any_model
    from namm_xmodal.cli.console import console
    from namm_xmodal.errors import UnsupportedModelError

    verdict = verdict_of(load_any_model(model))
    if verdict.kind != "exact":
        raise UnsupportedModelError(f"{model}: {verdict}")
    console.print(f"{model}: {verdict}")


@check_app.command("task")
def check_task_command(
    name: Annotated[str, typer.Argument(help="A name of `namm-xmodal list tasks`.", show_default=False)],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Hyper-parameters, as in a configuration.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=("Model whose tokenizer counts tokens: a name of `namm-xmodal list models`."),
            show_default="one token per byte",
        ),
    ] = None,
) -> None:
    """Check a language task: reproducible samples at any number, answers among the choices, exact lengths.

    Example: `namm-xmodal check task key_retrieval length=[512]`
    """
    from namm_xmodal.cli.console import console
    from namm_xmodal.config.blame import blamed
    from namm_xmodal.config.overrides import apply_overrides
    from namm_xmodal.config.tasks import build_task
    from namm_xmodal.language.check import check_task
    from namm_xmodal.language.models import load_language_model
    from namm_xmodal.language.table import find_task

    find_task(name)  # an unknown name is reported without a place in a file
    task, n = build_task(apply_overrides({"task": name, "n": 4}, fields or [], option=""), name)
    tokenizer = load_language_model(model).tokenizer if model else None
    with blamed(f"task {name}", task):
        check_task(task, n=n, tokenizer=tokenizer)
    console.print(f"{task}: passes the task contract checks")
