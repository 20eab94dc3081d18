"""`namm-xmodal lm-eval`: lm-evaluation-harness, which then knows the model `namm_xmodal`."""

import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from namm_xmodal.errors import ConfigError

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_OTHER_COMMANDS = ("ls", "validate")
_THEIRS = ("lm_eval", "datasets", "huggingface_hub")
"""Packages whose complaints are about tasks and data that were asked for."""
_NO_TASK = "Tasks not found: "
"""How the harness begins to say that it does not know a task."""
_CHOOSES_A_MODEL = ("--model", "-M", "--config", "-C")


def lm_eval_command(context: typer.Context) -> None:
    """Run EleutherAI's lm-evaluation-harness with a pruned cache; its arguments are passed on unchanged.

    The model is `namm_xmodal` unless `--model` names another. `lm_eval run --help` lists the harness's arguments,
    docs/lm_eval.md those of the model.

    Example: `namm-xmodal lm-eval --model_args pretrained=smollm2-135m,policy=keydiff,budget=0.25 --tasks
    lambada_openai`
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
        asked = harness.HarnessCLI().parse_args()
        settings = _settings(asked)
        with _claimed(settings):
            harness.cli_evaluate()
    except (ValueError, TypeError, KeyError, OSError) as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _THEIRS:
            raise
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        if str(said).startswith(_NO_TASK):
            said = _nearest_tasks(str(said).removeprefix(_NO_TASK).split(", "), settings.get("include_path"))
        line = ConfigError(f"lm-eval: {said}")
        line.add_note("".join(traceback.format_exception(error)))
        raise line from None
    finally:
        sys.argv = before


def _settings(asked: Any) -> dict[str, Any]:
    """Arguments over those of the file that `--config` names."""
    settings: dict[str, Any] = {}
    if file := getattr(asked, "config", None):
        from lm_eval.config.evaluate_config import EvaluatorConfig

        settings = dict(EvaluatorConfig.load_yaml_config(file))
    return settings | {key: value for key, value in vars(asked).items() if value}


@contextmanager
def _claimed(settings: Mapping[str, Any]) -> Iterator[None]:
    """Refuses the folder of another command, and keeps others out of this one; beside a `.json` file, others may write."""
    from namm_xmodal.cli.folders import harness_folder

    output, given = settings.get("output_path"), settings.get("model_args")
    if not output:
        yield
        return
    models = [value for value in given.values() if isinstance(value, str)] if isinstance(given, Mapping) else []
    folder = harness_folder(str(output), models)
    if str(output).endswith(".json"):
        folder.check()
        yield
        return
    with folder.claimed():
        yield


def _nearest_tasks(missing: Sequence[str], include_path: Any) -> str:
    """One line about names that are not tasks, with the nearest ones."""
    from lm_eval.tasks import TaskManager

    from namm_xmodal.config.names import did_you_mean

    known = TaskManager(include_path=include_path).all_tasks
    hints = {name: did_you_mean(name, known, otherwise="") for name in missing}
    near = [f"{name}: no such task{', ' + hint if hint else ''}" for name, hint in hints.items()]
    return f"{'; '.join(near)}; `namm-xmodal lm-eval ls tasks` lists all"
