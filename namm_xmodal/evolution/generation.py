"""The record of a finished generation, which is logged, shown and plotted."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.fitness import Fitness

FitnessValues = tuple[float | None, ...]


@dataclass(frozen=True)
class Spread:
    """Best, mean and worst of a population; members that failed are left out."""

    best: float
    mean: float
    worst: float


@dataclass(frozen=True)
class Generation:
    """One generation, as its line in the journal.

    Attributes:
        generation: 0 the first of this run.
        fitness: One per member, None where it failed.
        members: Digest of the population.
        mean: Digest of the strategy's mean after it learned from this generation.
        sigma: Step size after it learned.
        weight: Size weight of the fitness.
        score: Mean over tasks and members of the score over the base model's.
        kept: Mean kept fraction.
        total: Spread of the fitness.
        tasks: Spread of each task's score over the base model's.
        agreement: Rank agreement of two halves of the samples, or None.
        failed: Members that failed.
        skipped: Tasks that were left out, see `Fitness`.
        collapsed: Whether the run has collapsed, see `Watch`.
        evaluations: Member-sample pairs that were scored.
        seconds: Time by part, wall clock; `evaluate` is that of the whole, other parts are the workers' own, summed.
    """

    generation: int
    fitness: FitnessValues
    members: str
    mean: str
    sigma: float
    weight: float
    score: float
    kept: float
    total: Spread
    tasks: dict[str, Spread]
    agreement: float | None
    failed: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()
    collapsed: bool = False
    evaluations: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"kind": "generation", **asdict(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Generation":
        """Reads `to_json`.

        Raises:
            EvolutionError: If a field is missing or unknown.
        """
        fields = {key: value for key, value in values.items() if key != "kind"}
        try:
            fields["total"] = Spread(**fields["total"])
            fields["tasks"] = {label: Spread(**spread) for label, spread in fields["tasks"].items()}
            for name in ("fitness", "failed", "skipped"):
                fields[name] = tuple(fields[name])
            return cls(**fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise EvolutionError(f"not the line of a generation ({error})") from None

    def scalars(self) -> dict[str, float]:
        """Numbers for trackers, by slash-separated name."""
        named: dict[str, float | None] = {
            "evolve/sigma": self.sigma,
            "evolve/size_weight": self.weight,
            "evolve/rank_agreement": self.agreement,
            "evolve/failed_members": float(len(self.failed)),
            "cache/kept_fraction": self.kept,
        }
        spreads = {"evolve/fitness": self.total, **{f"task/{label}": spread for label, spread in self.tasks.items()}}
        for label, spread in spreads.items():
            named |= {f"{label}/best": spread.best, f"{label}/mean": spread.mean, f"{label}/worst": spread.worst}
        named |= {f"time/{part}_s": value for part, value in self.seconds.items()}
        return {name: value for name, value in named.items() if value is not None}


def spread_of(values: Array) -> Spread:
    """Spread of the finite values, shape (P,)."""
    good = values[np.isfinite(values)]
    return Spread(float(good.max()), float(good.mean()), float(good.min()))


def describe_fitness(fitness: Fitness) -> dict[str, Any]:
    """The fields of `Generation` that a fitness decides."""
    good = np.isfinite(fitness.values)
    return {
        "fitness": tuple(float(value) if ok else None for value, ok in zip(fitness.values, good, strict=True)),
        "score": fitness.score,
        "kept": float(fitness.kept[good].mean()),
        "total": spread_of(fitness.values),
        "tasks": {label: spread_of(np.where(good, scores, np.nan)) for label, scores in fitness.tasks.items()},
        "agreement": fitness.agreement,
        "failed": tuple(fitness.failed),
        "skipped": fitness.skipped,
    }
