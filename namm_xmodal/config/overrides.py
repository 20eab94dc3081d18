"""`--set a.b=c`: change one value of a configuration from the command line."""

from collections.abc import Sequence
from typing import Any

from namm_xmodal.config.loader import Mapping, merge, parse_value
from namm_xmodal.config.names import did_you_mean
from namm_xmodal.errors import ConfigError


def apply_overrides(content: Mapping, assignments: Sequence[str], option: str = "--set ") -> Mapping:
    """Applies `path=value` assignments in order; values are YAML, `null` removes an entry.

    A mapping value is merged into what is there (`policies.h2o={recent: 0.5}`), everything else replaces it, and
    `{}` empties it.
    Messages name the command-line option that the assignments came from; it is empty for plain arguments.
    Whether the path exists is decided by the same validation that reads the file, which refuses unknown keys.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys):
            raise ConfigError(f"{option}{assignment!r}: expected path=value, for example {option}seed=3")
        value = parse_value(text)
        _check(content, keys, value, f"{option}{assignment}")
        content = merge(content, _nest(keys, value))
    return content


def _nest(keys: list[str], value: Any) -> Mapping:
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _check(content: Mapping, keys: list[str], value: Any, assignment: str) -> None:
    """Refuses a path through something that is not a mapping, and the removal of a missing key."""
    here: Any = content
    for depth, key in enumerate(keys):
        if not isinstance(here, dict):
            parent = ".".join(keys[:depth])
            raise ConfigError(f"{assignment}: {parent} is {here!r}, which has no keys; set all of {parent}")
        if key not in here:
            if value is None and depth and all(isinstance(each, dict) for each in here.values()):  # of labels
                raise ConfigError(f"{assignment}: nothing to remove at {key!r}; {did_you_mean(key, here)}")
            return
        here = here[key]
