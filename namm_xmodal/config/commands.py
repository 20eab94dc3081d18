"""Which command a configuration is for."""

from collections.abc import Mapping
from typing import Any, Literal

from namm_xmodal.config.evolve import EvolveConfig
from namm_xmodal.errors import ConfigError

Command = Literal["eval", "evolve", "train", "head-shares"]


def command_of(content: Mapping[str, Any]) -> Command | None:
    """The command that reads a file, None if no command does.

    A file of tasks with their models, or of sources of agreement, is of `evolve`, of `train` if it names traces, of
    `head-shares` if it names a policy; one with a section, of `eval`.

    Args:
        content: Of the file, after `extends`.
    """
    fields = EvolveConfig.model_fields
    if "agree" in content and "policy" in content:
        return "head-shares"
    if {"models", "tasks"} <= content.keys() or "agree" in content:
        return "train" if "traces" in content else "evolve"
    sections = [name for name, value in content.items() if isinstance(value, dict) and name not in fields]
    return "eval" if set(sections) - {"bootstrap", "policies"} else None


def refuse_other_command(command: Command, content: Mapping[str, Any], name: str) -> None:
    """Refuses a file that belongs to another command.

    Raises:
        ConfigError: With the command that reads it.
    """
    found = command_of(content)
    if found is not None and found != command:
        raise ConfigError(f"{name}: is a file for another command; run `namm-xmodal {found} {name}`")
