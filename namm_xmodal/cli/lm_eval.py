"""`namm-xmodal lm-eval`: lm-evaluation-harness, which then knows the model `namm_xmodal`."""

import sys

import typer

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_OTHER_COMMANDS = ("ls", "validate")
_CHOOSES_A_MODEL = ("--model", "-M", "--config", "-C")


def lm_eval_command(context: typer.Context) -> None:
    """Run EleutherAI's lm-evaluation-harness with a pruned cache; its arguments are passed on as they are.

    The model is `namm_xmodal` unless `--model` names another. `lm_eval run --help` lists the harness's arguments,
    docs/lm_eval.md those of the model.

    Example: `namm-xmodal lm-eval --model_args pretrained=smollm2-135m,policy=keydiff,budget=0.25 --tasks lambada_openai`
    """
    from namm_xmodal.extras import need

    harness = need("lm_eval.__main__", "namm-xmodal lm-eval")
    import namm_xmodal.harness.pruned_lm  # noqa: F401  # registers the model

    arguments = list(context.args)
    chosen = any(each.partition("=")[0] in _CHOOSES_A_MODEL for each in arguments)
    if arguments and arguments[0] not in _OTHER_COMMANDS and not chosen:
        arguments += ["--model", "namm_xmodal"]
    before = sys.argv
    sys.argv = ["lm_eval", *arguments]  # the harness reads it there
    try:
        harness.cli_evaluate()
    finally:
        sys.argv = before
