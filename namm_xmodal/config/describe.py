"""Describes a configuration from its fields: one text for YAML comments, `list configs` and docs."""

import dataclasses
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticUndefined

_PLAIN = {str: "text", bool: "true or false", int: "a whole number", float: "a number", dict: "a mapping"}


@dataclass(frozen=True)
class FieldHelp:
    """One key of a configuration."""

    path: str
    type: str
    default: str
    help: str


def describe(model: type[BaseModel], prefix: str = "") -> list[FieldHelp]:
    """Every key of `model` with type, default and meaning; sections are listed with their dotted paths."""
    rows: list[FieldHelp] = []
    for name, field in model.model_fields.items():
        annotation = field.annotation
        path = f"{prefix}{name}"
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            rows += describe(annotation, f"{path}.")
            continue
        default = field.get_default(call_default_factory=True)
        shown = "required" if default is PydanticUndefined else as_yaml(default)
        rows.append(FieldHelp(path, in_words(annotation, field.metadata), shown, field.description or ""))
    return rows


def as_yaml(value: Any) -> str:
    """A value as one would write it in a configuration, on one line; a policy by its name."""
    from namm_xmodal.policies.table import POLICIES

    if dataclasses.is_dataclass(value):
        value = {"policy": next(name for name, kind in POLICIES.items() if type(value) is kind)}
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump([value], default_flow_style=True, width=float("inf")).strip()[1:-1]


def in_words(annotation: Any, metadata: Any = ()) -> str:
    """A type with its limits as one would say it: `a number from 0 to 1`, `one of streaming, post_prefill`.

    Args:
        annotation: Of a field.
        metadata: What pydantic keeps of its limits and validators.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return in_words(parts[0], parts[1:])
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in (Union, UnionType):
        kinds = [in_words(part, metadata) for part in parts if part is not NoneType]
        if kinds == ["a whole number", "a number"]:
            kinds = ["a number"]
        return " or ".join(kinds) + (", or null" if NoneType in parts else "")
    if origin is tuple:
        each = in_words(parts[0])
        if parts[-1] is not Ellipsis:
            return f"a list of {len(parts)}, each {each}"
        alone = any(isinstance(each, BeforeValidator) for each in metadata)  # a single value is taken as a list of one
        return f"{each}, or a list of such" if alone else f"a list, each {each}"
    if origin is dict and get_origin(parts[1]) is dict:
        return "a mapping of labels to mappings" + _limits(metadata)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a mapping"
    return _PLAIN[origin or annotation] + _limits(metadata)


def _limits(metadata: Any) -> str:
    limits = ("ge", "gt", "le", "lt", "min_length", "allow_inf_nan")
    found = {name: getattr(each, name) for each in metadata for name in limits if hasattr(each, name)}
    if found.keys() == {"ge", "le"}:
        return f" from {found['ge']} to {found['le']}"
    if found.keys() == {"gt", "lt"}:
        return f" between {found['gt']} and {found['lt']}"
    words = {
        "ge": "at least {}",
        "gt": "above {}",
        "le": "at most {}",
        "lt": "below {}",
        "min_length": "not empty",
        "allow_inf_nan": "finite",
    }
    return "".join(f", {words[name].format(value)}" for name, value in found.items())
