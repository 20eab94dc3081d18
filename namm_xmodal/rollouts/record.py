"""One episode of one model under one policy: a line of results.jsonl."""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from namm_xmodal.errors import ResultsError

Key = tuple[str, str, str, int]
"""Policy, budget as text, model, seed of the episode."""


@dataclass(frozen=True, kw_only=True)
class RolloutRecord:
    """How an episode went, and under which conditions.

    Attributes:
        policy: Label of the policy in the configuration.
        budget: Cache size asked for, None where there is none.
        size: The memory asked for, in words.
        statistics: Which feature statistics a NAMM had, else None.
        model: Label of the model.
        fingerprint: Of the policy, `@`, of the model: fields and weights.
        target: Return asked for.
        episode: What `Episode` holds: environment, seed, total, length, tokens kept, how it stopped.
        cpu_seconds: CPU time of the batch, shared out among its episodes.
        started: UTC time, ISO 8601.
        config: Digest of the configuration.
        versions: Of torch, transformers, gymnasium, mujoco and this package.
    """

    policy: str
    budget: int | float | None
    size: str
    statistics: str | None
    model: str
    fingerprint: str
    target: float
    episode: dict[str, Any]
    cpu_seconds: float
    started: str
    config: str
    versions: dict[str, str]

    @property
    def key(self) -> Key:
        """What tells this record from all others of a run."""
        return (self.policy, repr(self.budget), self.model, self.episode["seed"])

    def to_json(self) -> str:
        """One JSON line, without the line break."""
        if not math.isfinite(self.episode["total"]):
            raise ResultsError(f"{self.policy}, seed {self.episode['seed']}: return is {self.episode['total']}")
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RolloutRecord":
        """Reads what `to_json` wrote.

        Raises:
            ResultsError: If a field is missing or unknown.
        """
        odd = sorted(set(values) ^ {each.name for each in fields(cls)})
        if odd:
            raise ResultsError(
                f"result line with other fields than this version writes ({', '.join(odd)}); use --fresh"
            )
        return cls(**values)
