"""Builds a frozen dataclass (a policy, a task) from a mapping, with the same strictness as the rest of a config."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from namm_xmodal.config.describe import as_yaml, in_words
from namm_xmodal.config.names import did_you_mean
from namm_xmodal.errors import ConfigError, NammError

Built = TypeVar("Built")


def settable(cls: type) -> dict[str, dataclasses.Field[Any]]:
    """The constructor's fields by name, without those that a model fills in.

    Raises:
        ConfigError: If it is not a dataclass, as the class of a plug-in may be.
    """
    if not dataclasses.is_dataclass(cls):
        raise ConfigError(
            f"{cls.__name__} is not a dataclass; expected a dataclass whose fields are its hyper-parameters"
        )
    return {field.name: field for field in dataclasses.fields(cls) if field.init and "filled_in" not in field.metadata}


def defaults(cls: type) -> dict[str, str]:
    """The fields with their defaults as in YAML; `required` where there is none."""
    shown = {}
    for name, field in settable(cls).items():
        if field.default is not dataclasses.MISSING:
            shown[name] = as_yaml(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            shown[name] = as_yaml(field.default_factory())
        else:
            shown[name] = "required"
    return shown


def build(cls: type[Built], values: Mapping[str, Any], path: str, kind: str) -> Built:
    """Calls `cls(**values)` after checking names and types.

    Args:
        cls: A dataclass whose fields are its hyper-parameters.
        values: Field values as read from YAML; lists become tuples where the field is a tuple.
        path: Where the values stand in the configuration, for messages.
        kind: What the class is, for messages: `policy h2o`.

    Raises:
        ConfigError: If a key is unknown, a required one is missing, or a value has the wrong type or range.
    """
    fields = settable(cls)
    for key in values:
        if key not in fields:
            raise ConfigError(f"{path}.{key}: unknown key of {kind}; {did_you_mean(key, fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{path}.{name}: missing; {kind} needs it")
    hints = get_type_hints(cls)
    checked = {key: _typed(hints[key], value, f"{path}.{key}") for key, value in values.items()}
    try:
        return cls(**checked)
    except NammError as error:
        raise at(path, error) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None


def at(path: str, error: NammError) -> NammError:
    """The same error, with its place in the configuration in front of the message."""
    return error.at(path)


def _typed(hint: Any, value: Any, path: str) -> Any:
    """Checks a value against a field's type, as in JSON: lists become tuples; `"4"` and `true` are not numbers."""
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or isinstance(value, hint)):
        if not isinstance(value, hint):
            raise ConfigError(f"{path}: {value!r}: expected {hint.__name__}")
        return value
    if dataclasses.is_dataclass(value):
        return value  # built by the caller; a file holds none
    try:
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return value  # a type pydantic cannot read (a Protocol): the class checks for itself
    except ValidationError:
        raise ConfigError(f"{path}: {value!r}: expected {in_words(hint)}") from None
