"""Time series, as the evaluation of namm-xmodal knows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from namm_xmodal.config.section import Section
from namm_xmodal.evaluation.modality import Item, Metric, Modality, Session


class SeriesSection(Section):
    """What the section `series` of a configuration may say."""

    n: int = Field(4, ge=1, description="Series.")
    length: int = Field(48, ge=8, description="Values of each series before the forecast.")
    period: int = Field(12, ge=2, description="Values of one season.")


@dataclass(frozen=True)
class SeriesFacts:
    """What a forecast reports beside its error.

    Attributes:
        truth: The value that was to be forecast.
    """

    truth: int = 0


class Series(Modality):
    """Seasons that repeat; the next value is asked for."""

    name = "series"
    section = SeriesSection
    facts = SeriesFacts
    named_by_records = frozenset({"n"})

    def items(self, section: SeriesSection) -> Sequence[Item]:
        """One for each series."""
        return [Item(f"series/{number}", "season", number, f"series/{number}") for number in range(section.n)]

    def open(self, section: SeriesSection) -> Session:
        """Loads the language model."""
        from namm_timeseries.session import SeriesSession

        return SeriesSession(section)

    def metrics(self, section: SeriesSection, task: str, names: Sequence[str]) -> Sequence[Metric]:
        """The likelihood of the true value."""
        return [Metric(name) for name in names]


SERIES = Series()
