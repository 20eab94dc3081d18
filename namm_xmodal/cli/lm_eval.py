"""`namm-xmodal lm-eval`: lm-evaluation-harness, which then knows the model `namm_xmodal`."""

import sys
import traceback

import typer

from namm_xmodal.errors import ConfigError

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_OTHER_COMMANDS = ("ls", "validate")
_THEIRS = ("lm_eval", "datasets", "huggingface_hub")
"""Packages whose complaints are about tasks and data that were asked for."""
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
    except (ValueError, KeyError, OSError) as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _THEIRS:
            raise
        line = ConfigError(f"lm-eval: {error.args[0] if isinstance(error, KeyError) and error.args else error}")
        line.add_note("".join(traceback.format_exception(error)))
        raise line from None
    finally:
        sys.argv = before
