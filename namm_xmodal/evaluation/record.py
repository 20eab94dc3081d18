"""The result of one item under one arm: a line of results.jsonl."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.arm import ArmKey
from namm_xmodal.evaluation.modality import Kept, Outcome, Status

RecordKey = tuple[str, str, ArmKey]
"""Section, item, arm."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One item, one model, one arm.

    Attributes:
        section: Name of the section.
        task: What the item is averaged with.
        item: Id of the item; the same id is the same item for every arm.
        number: Of the item within its task.
        group: Items of one group are not independent where the metric says so.
        stratum: What the item was chosen from, such as a type of question or a trained model.
        tags: What scores are also shown by.
        policy: Label of the arm in the configuration.
        budget: Size asked for: a fraction (float), tokens (int), or None where the policy decides for itself.
        schedule: See `namm_xmodal.evaluation.arm.Schedule`.
        size: The size in words.
        scores: Metric name to value.
        kept: What the cache held.
        seconds: CPU seconds by part.
        status: `scored`, `skipped` or `failed`.
        message: Why there is no score, else empty.
        facts: What else the modality reports.
        fit: Of a NAMM: where its feature statistics and thresholds come from. Empty for others.
        text: What was generated, empty without generation.
        fingerprint: Of the arm: fields, weights, fit.
        model: Name, source and precision of the model; where text was generated, also `end_of_text`, the ids that end
            it.
        seed: Of the section.
        digest: Of the section.
        versions: Of the software.
        started: UTC time, ISO 8601.
        hardware: Processor, cores, device and accelerator; empty in results of earlier versions.
    """

    section: str
    task: str
    item: str
    number: int
    group: str
    stratum: str
    tags: dict[str, Any]
    policy: str
    budget: int | float | None
    schedule: str
    size: str
    scores: dict[str, float]
    kept: Kept
    seconds: dict[str, float]
    status: Status
    message: str
    facts: Any
    fit: str
    text: str
    fingerprint: str
    model: dict[str, Any]
    seed: int
    digest: str
    versions: dict[str, str]
    started: str
    hardware: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        section: str,
        outcome: Outcome,
        *,
        seed: int,
        digest: str,
        versions: Mapping[str, str],
        hardware: Mapping[str, str],
    ) -> "Record":
        """An outcome, and where it comes from.

        Raises:
            ResultsError: If a score is not a finite number.
        """
        item, arm = outcome.item, outcome.arm
        for name, value in outcome.scores.items():
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ResultsError(
                    f"{section}: {item.id}, policy {arm.label}: {name} is {value!r}, expected a finite score; check the "
                    "model's weights and dtype"
                )
        return cls(
            section=section,
            task=item.task,
            item=item.id,
            number=item.number,
            group=item.group,
            stratum=item.stratum,
            tags=dict(item.tags),
            policy=arm.label,
            budget=arm.budget,
            schedule=arm.schedule,
            size=arm.size,
            scores=dict(outcome.scores),
            kept=outcome.kept,
            seconds={name: round(seconds, 4) for name, seconds in outcome.seconds.items()},
            status=outcome.status,
            message=outcome.message,
            facts=outcome.facts,
            fit=outcome.fit,
            text=outcome.text,
            fingerprint=arm.fingerprint,
            model=dict(outcome.model),
            seed=seed,
            digest=digest,
            versions=dict(versions),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            hardware=dict(hardware),
        )

    @property
    def arm(self) -> ArmKey:
        """Which arm made it."""
        return (self.policy, repr(self.budget), self.schedule)

    @property
    def key(self) -> RecordKey:
        """What identifies this record within a run."""
        return (self.section, self.item, self.arm)

    def to_json(self) -> str:
        """One JSON line, without the line break."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, values: Mapping[str, Any], facts: type) -> "Record":
        """Reads what `to_json` wrote.

        Args:
            values: Of the line.
            facts: The modality's dataclass of facts, whose sequences are tuples.

        Raises:
            ResultsError: If a field is missing or unknown.
        """
        found = {"hardware": {}, **values}
        for kind, content in ((cls, found), (Kept, found.get("kept")), (facts, found.get("facts"))):
            names = {each.name for each in fields(kind)}
            odd = sorted(set(content or {}) ^ names)
            if odd or not isinstance(content, dict):
                raise ResultsError(f"missing or unknown fields ({', '.join(odd)})")
        known = {name: tuple(each) if isinstance(each, list) else each for name, each in found["facts"].items()}
        return cls(**{**found, "kept": Kept(**found["kept"]), "facts": facts(**known)})
