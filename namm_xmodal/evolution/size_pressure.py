"""The penalty on cache size: `fitness = score - weight * kept fraction`, with a weight that may change."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from namm_xmodal.errors import ConfigError

Schedule = Literal["constant", "ramp", "constrained"]


@dataclass(frozen=True)
class SizePressure:
    """Schedule of the weight on the kept fraction.

    A weight that outbids the task makes forgetting everything a local optimum: 1.0 from the start collapses. Below 1 a
    policy that scores like the base model never gains by forgetting all; `constrained` starts low and rises only while
    the score holds.

    Attributes:
        schedule: `constant`: always `weight`. `ramp`: from `start` to `weight` in `generations`, in a straight line.
            `constrained`: from `start`, plus `step` after each generation whose population scored `floor` or more
            (mean over members, 1 = the base model), minus four times `step` after any other; never below `start` nor
            above `weight`.
        weight: Constant, last or largest weight, 0 or more; fitness per unit of kept fraction.
        start: First weight, from 0 to `weight`; ignored by `constant`.
        generations: Length of the ramp, at least 1.
        floor: Score that has to hold, as a fraction of the base model's.
        step: Change of the weight per generation, above 0.
    """

    schedule: Schedule = "constant"
    weight: float = 0.3
    start: float = 0.0
    generations: int = 50
    floor: float = 0.95
    step: float = 0.01

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigError: If a value is out of range.
        """
        if self.schedule not in ("constant", "ramp", "constrained"):
            raise ConfigError(f"schedule={self.schedule!r}: expected constant, ramp or constrained")
        if not 0 <= self.weight < float("inf"):
            raise ConfigError(f"weight={self.weight}: expected 0 or more")
        if self.schedule != "constant" and not 0 <= self.start <= self.weight:
            raise ConfigError(f"start={self.start}: expected between 0 and weight={self.weight}")
        if self.generations < 1:
            raise ConfigError(f"generations={self.generations}: expected at least 1")
        if not self.step > 0:
            raise ConfigError(f"step={self.step}: expected a positive change of the weight per generation")

    @property
    def first(self) -> float:
        """Weight of generation 0."""
        return float(self.weight if self.schedule == "constant" else self.start)

    def after(self, generation: int, weight: float, score: float) -> float:
        """The weight of the generation that follows.

        Args:
            generation: The one that ended, 0 the first.
            weight: Its weight.
            score: Mean normalised score of its population.
        """
        if self.schedule == "constant":
            return weight
        if self.schedule == "ramp":
            share = min(1.0, (generation + 1) / self.generations)
            return self.start + share * (self.weight - self.start)
        # Falls faster than it rises: a lost skill costs more generations to relearn than a weight to raise again.
        moved = weight + (self.step if score >= self.floor else -4 * self.step)
        return min(max(moved, self.start), self.weight)

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)
