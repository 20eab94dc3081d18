"""What a run shows while it runs: on a terminal a live table over a progress bar, elsewhere one line per generation."""

from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from namm_xmodal.cli.console import console, errors, notice
from namm_xmodal.evolution.events import Event, GenerationFinished, Notice, ShardFinished, Started
from namm_xmodal.evolution.generation import Generation
from namm_xmodal.report.evolution_table import generation_line, generation_tables

LINES = 12


class Display:
    """A listener; use it as a context manager, so that the terminal is restored."""

    def __init__(self) -> None:
        """Shows nothing yet."""
        self._generations: list[Generation] = []
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[what]}", markup=False),
            console=errors,
        )
        self._run = self._bar.add_task("generations", total=None, what="")
        self._shards = self._bar.add_task("this generation", total=None, what="loading the model")
        self._live = Live(console=errors, refresh_per_second=4) if errors.is_terminal else None

    def __enter__(self) -> "Display":
        """Takes over the terminal."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the last table on the terminal."""
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Shows an event."""
        if isinstance(event, Notice):
            notice(event.text)
        elif isinstance(event, Started):
            self._generations = list(event.past)
            self._bar.update(self._run, completed=len(event.past), total=event.generations)
        elif isinstance(event, ShardFinished):
            self._bar.update(self._shards, completed=event.done, total=event.total, what=event.label)
        elif isinstance(event, GenerationFinished):
            self._generations.append(event.record)
            self._bar.update(self._run, completed=len(self._generations))
            if self._live is None:
                console.print(generation_line(event.record), soft_wrap=True)
        self._refresh()

    def _refresh(self) -> None:
        if self._live is None:
            return
        tables = generation_tables(self._generations, LINES, errors.width) if self._generations else []
        self._live.update(Group(*tables, self._bar))
