"""Which command a configuration is for."""

from collections.abc import Iterable

from namm_xmodal.config.evaluation import EvalConfig
from namm_xmodal.config.evolve import EvolveConfig
from namm_xmodal.config.rollout import RolloutConfig
from namm_xmodal.config.validation import Strict
from namm_xmodal.config.video_qa import VideoQAConfig
from namm_xmodal.errors import ConfigError

COMMANDS: dict[str, type[Strict]] = {
    "eval": EvalConfig,
    "evolve": EvolveConfig,
    "rollout": RolloutConfig,
    "video-qa": VideoQAConfig,
}
"""Each command that reads a configuration, and the model of it."""


def command_of(keys: Iterable[str]) -> str | None:
    """The only command that knows all these keys and needs no others; None if there is none.

    Args:
        keys: At the top of a file, after `extends`.
    """
    given = set(keys)
    found = [command for command, kind in COMMANDS.items() if _needed(kind) <= given <= set(kind.model_fields)]
    return found[0] if len(found) == 1 else None


def refuse_other_command(kind: type[Strict], keys: Iterable[str], name: str) -> None:
    """Refuses a file with keys that `kind` does not know, if it is one of another command.

    Raises:
        ConfigError: With the command that reads it.
    """
    command = None if set(keys) <= set(kind.model_fields) else command_of(keys)
    if command is not None and COMMANDS[command] is not kind:
        raise ConfigError(f"{name}: is a file of another command; run `namm-xmodal {command} {name}`")


def _needed(kind: type[Strict]) -> set[str]:
    return {name for name, field in kind.model_fields.items() if field.is_required()}
