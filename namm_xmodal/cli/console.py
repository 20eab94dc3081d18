"""The terminal: one console, one style of progress bar, notices on stderr."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from namm_xmodal.trust.terminal import PlainConsole, printable
from namm_xmodal.types import OnProgress

console = PlainConsole()
errors = PlainConsole(stderr=True, soft_wrap=True)


LINE_EVERY = 30.0
"""Seconds between two lines of progress without a terminal: in a log file, a batch job or CI."""


def notice(text: str) -> None:
    """Prints something that is worth knowing but not an error."""
    errors.print(Text.assemble(("note:", "yellow"), f" {text}"))


@contextmanager
def progress(title: str) -> Iterator[OnProgress]:
    """Progress on stderr: a bar on a terminal, elsewhere a line now and then; yields `on_progress`."""
    with sectioned_progress(title) as (on_progress, _):
        yield on_progress


@contextmanager
def sectioned_progress(title: str) -> Iterator[tuple[OnProgress, Callable[[str, int, int], None]]]:
    """The same for work in sections, each of a pace of its own.

    Yields `on_progress`, and `on_section(name, begin, end)` to call before a section, with what is done before and after
    it. Bar and lines then say how long that section takes, since nothing is known of later ones.
    """
    pace = _Pace()
    if not errors.is_terminal:
        yield _Lines(title, pace).advance, pace.section
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.fields[what]}", markup=False),
        console=errors,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, left="", what="loading the model")

        def on_progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, left=pace.left(done, total), what=what)

        yield on_progress, pace.section


class _Pace:
    """How long the rest will take, if it goes on as so far."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._before: int | None = None  # what was done at the first call, perhaps by an earlier session
        self._section: tuple[str, int] | None = None

    def section(self, name: str, begin: int, end: int) -> None:
        """From here on, what is left is estimated from this section alone, up to `end`."""
        self._section, self._begin, self._before = (name, end), time.monotonic(), begin

    def left(self, done: int, total: int) -> str:
        """In words; nothing where nothing is known yet."""
        self._before = done if self._before is None else min(self._before, done)
        name, end = self._section or ("", total)
        if not self._before < done < end:
            return ""
        seconds = (time.monotonic() - self._begin) / (done - self._before) * (end - done)
        return f"about {_minutes(seconds)} left" + (f" in {name}" if end < total else "")


class _Lines:
    """Progress in lines, none before `LINE_EVERY` seconds have passed."""

    def __init__(self, title: str, pace: _Pace) -> None:
        self._title, self._pace = title, pace
        self._begin = self._last = time.monotonic()

    def advance(self, done: int, total: int, what: str) -> None:
        """A line, if it is time for one."""
        now, left = time.monotonic(), self._pace.left(done, total)
        if now - self._last < LINE_EVERY:
            return
        self._last = now
        words = f"{self._title}: {done:,} of {total:,} after {_minutes(now - self._begin)}" + (
            f", {left}" if left else ""
        )
        errors.print(Text(f"{words} ({what})" if what else words))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def show_log(level: int) -> None:
    """Prints what the package logs on stderr, without times and names."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(message)s"))
    logger = logging.getLogger("namm_xmodal")
    logger.handlers[:] = [handler]
    logger.setLevel(level)


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
