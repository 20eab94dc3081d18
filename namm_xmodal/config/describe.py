"""The manual of a configuration, read off its fields: one text for YAML comments, `list configs` and docs."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined


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
        shown = "required" if default is PydanticUndefined else str(default)
        rows.append(FieldHelp(path, type_name(annotation), shown, field.description or ""))
    return rows


def type_name(annotation: Any) -> str:
    """A type as one would say it: `int | float`, `clock | prompt_end`."""
    text = getattr(annotation, "__name__", None) if isinstance(annotation, type) else None
    text = str(annotation) if text is None or "[" in str(annotation) else text
    for noise in ("typing.", "Annotated", "<class '", "'>"):
        text = text.replace(noise, "")
    return text
