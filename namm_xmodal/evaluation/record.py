"""The result of one sample under one policy: what a line of results.jsonl holds."""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from namm_xmodal.errors import ResultsError


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sample, one model, one policy.

    Attributes:
        task: Label of the task in the configuration.
        sample: Index of the sample; the same index is the same sample for every policy.
        policy: Label of the policy in the configuration.
        budget: Cache size asked for: a fraction (float), tokens (int), or None where the policy decides for itself.
        protocol: `clock`, `prompt_end`, or `none` for the full cache, which never updates.
        scores: Metric name to value; higher is better except where `lower_is_better` of
            evaluation/metrics.py says otherwise.
        kept_fraction: Kept tokens over seen ones when the answer is produced, averaged over layers and heads.
        live_bytes: Bytes of keys and values of live tokens at that moment.
        allocated_bytes: Bytes that the cache really takes then, dead slots and policy state included.
        full_bytes: Bytes a full cache would take then.
        prompt_tokens: Length of the prompt.
        fingerprint: Of the policy: fields and weights.
        statistics: Of a NAMM: where its feature statistics come from. Empty for others.
        tags: Where the sample lies on the task's grid (length, depth, ...).
        text: What was generated, empty without generation.
        cpu_seconds: CPU time of this record alone.
        started: UTC time, ISO 8601.
        seed: Seed of the samples.
        config: Digest of the configuration.
        model: Name, source (package and hash, hub revision or folder) and dtype of the model; where text was generated,
            also `end_of_text`, the ids that end it, from its tokenizer and its `generation_config`.
        versions: Versions of torch, transformers and this package.
    """

    task: str
    sample: int
    policy: str
    budget: int | float | None
    protocol: str
    scores: dict[str, float]
    kept_fraction: float
    live_bytes: int
    allocated_bytes: int
    full_bytes: int
    prompt_tokens: int
    fingerprint: str
    statistics: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    cpu_seconds: float
    started: str
    seed: int
    config: str
    model: dict[str, Any]
    versions: dict[str, str]

    @property
    def key(self) -> "Key":
        """What tells this record from all others of a run."""
        return (self.task, self.sample, self.policy, repr(self.budget), self.protocol)

    def to_json(self) -> str:
        """One JSON line, without the line break."""
        for name, value in self.scores.items():
            if not math.isfinite(value):
                raise ResultsError(
                    f"{self.task}, sample {self.sample}, policy {self.policy}: {name} is {value}, expected a finite "
                    "score; check the model's weights and dtype"
                )
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Record":
        """Reads what `to_json` wrote.

        Raises:
            ResultsError: If a field is missing or unknown.
        """
        names = {each.name for each in fields(cls)}
        if set(values) != names:
            odd = sorted(set(values) ^ names)
            raise ResultsError(
                f"result line with other fields than this version writes ({', '.join(odd)}); use --fresh"
            )
        return cls(**values)


Key = tuple[str, int, str, str, str]
"""Task, sample, policy, budget as text, protocol."""
