"""The resolved configuration as text, and the fingerprint by which results know their configuration."""

import hashlib
import json
from typing import Any

import yaml
from pydantic import BaseModel

# What changes where results go, how fast they come, how they are summarised, or which there are, but no single result.
NOT_RESULTS = frozenset({"output", "workers", "bootstrap", "policies", "budgets", "protocols"})


def to_yaml(config: BaseModel) -> str:
    """Every key with its value, defaults included, in the order of the fields."""
    return yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True, width=120)


def to_mapping(config: BaseModel) -> dict[str, Any]:
    """The configuration as plain JSON types."""
    mapping: dict[str, Any] = config.model_dump(mode="json")
    return mapping


def config_digest(config: BaseModel) -> str:
    """Twelve hex digits over everything that changes every result; equal digests may share a results file.

    Policies, their sizes and protocols are not in it: each record names its own, so that one may be added to a finished
    evaluation. What a policy was is in the record too, as its fingerprint.
    """
    relevant = {key: value for key, value in to_mapping(config).items() if key not in NOT_RESULTS}
    if "tasks" in relevant:  # more samples never change earlier ones, so a run may be extended
        relevant["tasks"] = {
            label: {key: value for key, value in spec.items() if key != "n"}
            for label, spec in relevant["tasks"].items()
        }
    canonical = json.dumps(relevant, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
