"""The resolved configuration as text, and the fingerprint by which results know their configuration."""

import hashlib
import json
from typing import Any

import yaml
from pydantic import BaseModel

# What changes where results go, how fast they come or how they are summarised, but not a single result.
NOT_RESULTS = frozenset({"output", "workers", "silence", "bootstrap", "episodes"})
# What says which results there are; each record of an evaluation names its own, so that one may be added later.
NAMED_BY_RECORDS = frozenset({"policies", "budgets", "protocols"})
ADAPTER = "language"  # of earlier versions' files for `namm-xmodal eval`; their digests have it
# The same for a rollout, and what scores are made of returns with.
NAMED_BY_EPISODES = frozenset({"model", "model_seeds", "statistics", "score", "dataset", "references"})
GENERATED_TEXT = 2
"""Version of how answers are generated and compared; results with generated text of another one are not mixed.

1: `generate` with the checkpoint's generation settings; ASCII punctuation did not count, signs included.
2: greedy whatever the checkpoint says, up to any of its end-of-text ids; the rules of `namm_xmodal.language.answer_text`.
"""


def to_yaml(config: BaseModel) -> str:
    """Every key with its value, defaults included, in the order of the fields."""
    return yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True, width=120)


def to_mapping(config: BaseModel) -> dict[str, Any]:
    """The configuration as plain JSON types."""
    mapping: dict[str, Any] = config.model_dump(mode="json")
    return mapping


def config_digest(config: BaseModel, named_by_records: frozenset[str] = frozenset(), **also: str) -> str:
    """Twelve hex digits over everything that can change a result; equal digests may share a results file.

    Args:
        config: The configuration.
        named_by_records: Keys to leave out because every record names what it belongs to (policies by fingerprint).
        also: Keys that configurations once had, so that the digests of earlier results hold.
    """
    without = NOT_RESULTS | named_by_records
    relevant = also | {key: value for key, value in to_mapping(config).items() if key not in without}
    if "tasks" in relevant:  # more samples never change earlier ones, so a run may be extended
        relevant["tasks"] = {
            label: {key: value for key, value in spec.items() if key != "n"}
            for label, spec in relevant["tasks"].items()
        }
    if "generate" in relevant.get("scoring", ()):
        relevant["generated_text"] = GENERATED_TEXT
    canonical = json.dumps(relevant, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def evaluation_digest(config: BaseModel) -> str:
    """The digest of an evaluation, whose records name their policy, its fingerprint, size and protocol."""
    return config_digest(config, NAMED_BY_RECORDS, adapter=ADAPTER)


def rollout_digest(config: BaseModel) -> str:
    """The digest of a rollout, whose records name their policy, model, fingerprint, size and statistics."""
    return config_digest(config, NAMED_BY_RECORDS | NAMED_BY_EPISODES)
