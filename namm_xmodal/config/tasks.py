"""Builds a language task from a mapping in a YAML file."""

from collections.abc import Mapping, Sized
from typing import Any

from namm_xmodal.config.blame import blamed
from namm_xmodal.config.building import at, build
from namm_xmodal.errors import ConfigError, NammError, UnknownNameError


def build_task(spec: object, path: str = "task") -> tuple[Any, int]:
    """Builds a task and the number of its samples.

    Args:
        spec: `{task: name, n: samples, field: value, ...}`. Without `n`, all that a task with a length (`len(task)`) has.
        path: Where the mapping stands in the configuration, for messages.

    Raises:
        UnknownNameError: If there is no such task.
        ConfigError: If a field is unknown, missing or of the wrong type, or `n` is not positive.
    """
    from namm_xmodal.language.table import find_task

    if not isinstance(spec, Mapping) or not isinstance(spec.get("task"), str):
        raise ConfigError(f"{path}.task: missing; expected a name of `namm-xmodal list tasks`")
    name = str(spec["task"])
    try:
        kind = find_task(name)
    except UnknownNameError as error:
        raise at(f"{path}.task", error) from None
    values = {key: value for key, value in spec.items() if key not in ("task", "n")}
    count = spec.get("n")
    with blamed(path):
        if count is None and issubclass(kind, Sized):
            task = build(kind, values, path, f"task {name}")
            try:
                return task, len(task)
            except NammError as error:
                raise at(path, error) from None
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigError(f"{path}.n: {count!r}: expected a number of samples, at least 1")
        return build(kind, values, path, f"task {name}"), count
