"""Turns pydantic's errors into one line: file, full path, value, expectation, nearest name."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from namm_xmodal.config.describe import in_words
from namm_xmodal.config.names import did_you_mean
from namm_xmodal.errors import ConfigError

Model = TypeVar("Model", bound="Strict")


class Strict(BaseModel):
    """A section of a configuration: frozen, and closed to keys it does not know."""

    # Constants: a saved `threshold: -.inf` must not come back as null, which means another threshold.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, ser_json_inf_nan="constants")

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool):
            field = cls.model_fields[str(info.field_name)]
            if not _is_model(field.annotation) and "number" in (wanted := in_words(field.annotation, field.metadata)):
                raise ValueError(f"{value}: expected {wanted}")
        return value


def validate(model: type[Model], content: Mapping[str, Any], source: str) -> Model:
    """Builds `model` from a mapping.

    Raises:
        ConfigError: With one line that starts with `source` and names the first mistake.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{source}: {explain(model, error)}") from None


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """The first error on one line, and how many more there are."""
    found = error.errors(include_url=False)
    first, more = found[0], len(found) - 1
    path, wanted = _place(model, first["loc"])
    if first["type"] == "extra_forbidden":
        line = f"{path}: unknown key; {did_you_mean(str(first['loc'][-1]), _fields_at(model, first['loc'][:-1]))}"
    elif first["type"] == "missing" and isinstance(first["loc"][-1], str):
        line = f"{path}: missing; {_help(model, first['loc'])}"
    elif first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        line = f"{path}: {message}" if path else message
    else:
        line = f"{path}: {_short(first['input'])}: expected {wanted}"
        if text := _help(model, first["loc"]):
            line += f"; {text}"
    return line + (f" (and {more} more)" if more else "")


def _place(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, str]:
    """The dotted path that a person would write, and in words what is expected there."""
    here: Any = model
    parts, wanted = [], "a mapping"
    for part in location:
        if _is_model(here):
            parts.append(str(part))
            field = here.model_fields.get(str(part))
            if field is None:
                break
            here = _without_null(field.annotation)
            wanted = "a mapping" if _is_model(here) else in_words(here, field.metadata)
        elif get_origin(here) in (dict, tuple):  # a label or an index; else pydantic's name of a member of a union
            parts.append(str(part))
            here = get_args(here)[1 if get_origin(here) is dict else 0]
            wanted = in_words(here)
    return ".".join(parts), wanted


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    here = model
    for part in location:
        field = here.model_fields.get(str(part))
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if _is_model(each)] if field else []
        if not inner:
            return []
        here = inner[0]
    return list(here.model_fields)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _without_null(annotation: Any) -> Any:
    """The model of a section that may be left out; anything else as it is."""
    inner = [each for each in get_args(annotation) if _is_model(each)]
    return inner[0] if len(inner) == 1 and type(None) in get_args(annotation) else annotation


def _help(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """The help text of the field at this place, up to its first full stop."""
    here: Any = model
    text = ""
    for part in location:
        field = here.model_fields.get(str(part)) if _is_model(here) else None
        if field is None:
            break
        text, here = field.description or text, _without_null(field.annotation)
    return text.split(". ")[0].rstrip(".")
