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

    policy = build_policy(apply_overrides({"policy": name}, fields or []))

    from namm_xmodal.policies.check import check_policy

    check_policy(policy)
    console.print(f"{policy}: keeps the contract of a policy")


@check_app.command("adapter")
def check_adapter_command(
    name: Annotated[str, typer.Argument(help="A name of `namm-xmodal list adapters`.", show_default=False)],
) -> None:
    """Check an adapter on a small model of its kind.

    Example: `namm-xmodal check adapter language`
    """
    from namm_xmodal.adapters.check import check_adapter
    from namm_xmodal.adapters.table import adapter_by_name
    from namm_xmodal.cli.console import console

    check_adapter(adapter_by_name(name))
    console.print(f"{name}: keeps the contract of an adapter")
