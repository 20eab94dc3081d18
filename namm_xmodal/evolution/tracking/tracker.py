"""The protocol of trackers, and the listener that drops a failing one."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from namm_xmodal.evolution.events import Event, Finished, GenerationFinished, Started


class Tracker(Protocol):
    """A logger of scalars."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    def start(self, run: str, config: dict[str, Any], first_step: int) -> None:
        """Opens it.

        Args:
            run: Identifier of the run, the same after a resume.
            config: What the run is, nested JSON values.
            first_step: Generation at which logging goes on; 0 for a new run.
        """

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Logs named numbers of a generation."""

    def close(self) -> None:
        """Writes what is left."""


class Mirrors:
    """A listener that feeds trackers; one that raises is dropped with one notice."""

    def __init__(
        self, trackers: Sequence[Tracker], run: str, config: dict[str, Any], notice: Callable[[str], None]
    ) -> None:
        """Remembers what to open.

        Args:
            trackers: Not yet started.
            run: Identifier of the run.
            config: What the run is.
            notice: Called with each failure.
        """
        self._trackers = list(trackers)
        self._run = run
        self._config = config
        self._notice = notice

    def __call__(self, event: Event) -> None:
        """Mirrors an event."""
        if isinstance(event, Started):
            first = len(event.past)
            self._each(lambda tracker: tracker.start(self._run, self._config, first))
        elif isinstance(event, GenerationFinished):
            record = event.record
            self._each(lambda tracker: tracker.log(record.generation, record.scalars()))
        elif isinstance(event, Finished):
            self._each(lambda tracker: tracker.close())

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers):
            try:
                act(tracker)
            except Exception as error:  # whatever it is, hours of evolution are worth more
                self._trackers.remove(tracker)
                text = " ".join(str(error).split()) or type(error).__name__
                self._notice(f"{tracker.name} failed and is disabled ({text}); the journal is complete")
