"""Detects collapse and noisy selection in each generation."""

from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Limits:
    """Thresholds of the warnings.

    Attributes:
        collapsed_kept: Mean kept fraction below which ...
        collapsed_score: ... and mean normalised score below which a generation counts as collapsed,
        collapsed_generations: so many of them in a row are a collapse.
        agreement: Mean rank agreement of two halves of the samples below which selection is mostly luck,
        agreement_generations: over so many generations.
    """

    collapsed_kept: float = 0.15
    collapsed_score: float = 0.15
    collapsed_generations: int = 3
    agreement: float = 0.2
    agreement_generations: int = 5


class Watch:
    """Warns once, and again only after the problem had disappeared."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._collapsed = 0
        self._agreements: list[float] = []
        self._noisy = False

    @property
    def collapsed(self) -> bool:
        """Whether the population evicts nearly everything and scores nearly nothing."""
        return self._collapsed >= self.limits.collapsed_generations

    def look(self, score: float, kept: float, agreement: float | None, weight: float) -> list[str]:
        """Takes in a generation.

        Args:
            score: Mean normalised score of the population.
            kept: Mean kept fraction.
            agreement: Rank agreement, if there is one.
            weight: Size weight of the generation.

        Returns:
            What has to be said now, one line each.
        """
        said = []
        limits = self.limits
        down = kept < limits.collapsed_kept and score < limits.collapsed_score
        self._collapsed = self._collapsed + 1 if down else 0
        if self._collapsed == limits.collapsed_generations:
            said.append(
                f"collapsed: for {self._collapsed} generations the population keeps {kept:.0%} of the cache and scores "
                f"{score:.2f} of the base model; the size weight {weight:g} is too large, use a smaller one or the "
                "constrained schedule"
            )
        if agreement is not None:
            self._agreements = [*self._agreements, agreement][-limits.agreement_generations :]
        noise = fmean(self._agreements) if len(self._agreements) == limits.agreement_generations else 1.0
        if noise < limits.agreement and not self._noisy:
            said.append(
                f"noisy: over {limits.agreement_generations} generations two halves of the samples rank the members "
                f"with a rank correlation of only {noise:.2f} (expected {limits.agreement:g} or more); use more "
                "samples a task"
            )
        self._noisy = noise < limits.agreement
        return said
