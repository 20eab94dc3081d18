"""`namm-xmodal check`: runs the executable contracts on shipped and on your own implementations."""

from typing import Annotated

import typer

check_app = typer.Typer(
    help="Run the contract that every policy or adapter must keep. Example: `namm-xmodal check policy h2o budget=0.25`",
    no_args_is_help=True,
)


@check_app.command("policy")
def check_policy_command(
    name: Annotated[str, typer.Argument(help="A name of `namm-xmodal list policies`.", show_default=False)],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Hyper-parameters, as in a configuration.")
    ] = None,
) -> None:
    """Check a policy on a small random model: chunking, padding, batch-mates, beams, budgets.

    Example: `namm-xmodal check policy snapkv budget=64`
    """
    from namm_xmodal.cli.console import console
    from namm_xmodal.config import build_policy
    from namm_xmodal.config.overrides import apply_overrides

    policy = build_policy(apply_overrides({"policy": name}, fields or [], option=""), name)

    from namm_xmodal.policies.check import check_policy

    check_policy(policy)
    console.print(f"{policy}: keeps the contract of a policy")


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
    """Check an adapter on a model: it switches, restores, counts layers, and equals the masked oracle.

    Example: `namm-xmodal check adapter language --model smollm2-135m`
    """
    from namm_xmodal.adapters.check import check_adapter
    from namm_xmodal.adapters.table import adapter_by_name
    from namm_xmodal.cli.check_examples import EXAMPLES
    from namm_xmodal.cli.console import console

    adapter = adapter_by_name(name)
    usual, example = EXAMPLES[name]
    model = model or usual
    check_adapter(adapter, *example(model))
    console.print(f"{name} on {model}: keeps the contract of an adapter")
