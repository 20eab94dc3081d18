"""The resolved configuration as text, and the fingerprint by which results know their configuration."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel


def to_yaml(config: BaseModel) -> str:
    """Every key with its value, defaults included, in the order of the fields."""
    return yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True, width=120)


def to_mapping(config: BaseModel) -> dict[str, Any]:
    """The configuration as plain JSON types; an infinite value at the top, which JSON has not, as text.

    Not by a serializer of the field: pydantic would turn a Ctrl-C that comes while one runs into an error of its own.
    """
    mapping: dict[str, Any] = config.model_dump(mode="json")
    infinite = {key for key, value in mapping.items() if isinstance(value, float) and not math.isfinite(value)}
    return {key: str(value) if key in infinite else value for key, value in mapping.items()}


GENERATED_TEXT = 2
"""Version of how answers are generated and compared; results with generated text of another one are not mixed.

1: `generate` with the checkpoint's generation settings; ASCII punctuation did not count, signs included.
2: greedy whatever the checkpoint says, up to any of its end-of-text ids; the rules of `namm_xmodal.language.answer_text`.
"""


def changes(before: Any, now: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Dotted keys whose values differ between two mappings, with both values."""
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return [] if before == now else [(path, before, now)]
    found = []
    for key in dict.fromkeys([*before, *now]):
        found += changes(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    return found


def digest(settings: Mapping[str, Any]) -> str:
    """Twelve hex digits over settings; equal digests may share a results file or a journal."""
    canonical = json.dumps(_finite(settings), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _finite(value: Any) -> Any:
    """Infinite numbers as None, which JSON knows, and which older digests are of."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
