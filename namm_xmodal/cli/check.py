"""`namm-xmodal check`: runs the executable contracts on shipped and on your own implementations."""

from collections.abc import Callable
from typing import Annotated, Any

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
    model: Annotated[str, typer.Option(help="The model to check it on.")] = "tiny-random",
) -> None:
    """Check an adapter on a model: it switches, restores, counts layers, and equals the masked oracle.

    Example: `namm-xmodal check adapter language --model smollm2-135m`
    """
    from namm_xmodal.adapters.check import check_adapter
    from namm_xmodal.adapters.table import adapter_by_name
    from namm_xmodal.cli.console import console
    from namm_xmodal.errors import ContractError

    adapter = adapter_by_name(name)
    if name not in EXAMPLES:
        raise ContractError(
            f"adapter {name}: no example inputs are known here; expected one of {', '.join(EXAMPLES)}, or call "
            "namm_xmodal.check_adapter(adapter, model, inputs) from Python"
        )
    check_adapter(adapter, *EXAMPLES[name](model))
    console.print(f"{name} on {model}: keeps the contract of an adapter")


def _language_example(model: str) -> tuple[Any, dict[str, Any]]:
    """A language model in float32, and two texts of different lengths."""
    from namm_xmodal.language.models import load_language_model

    loaded = load_language_model(model, dtype="float32")
    texts = ["A cache holds what was read.", "A policy decides which part of it is worth holding."]
    loaded.tokenizer.padding_side = "left"
    loaded.tokenizer.pad_token = loaded.tokenizer.pad_token or loaded.tokenizer.eos_token
    return loaded.model, dict(loaded.tokenizer(texts, return_tensors="pt", padding=True))


EXAMPLES: dict[str, Callable[[str], tuple[Any, dict[str, Any]]]] = {"language": _language_example}
"""For each adapter, a function from the name of a model to that model and inputs."""
