"""The terminal: one console, one style of progress bar, notices on stderr."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from namm_xmodal.trust.terminal import PlainConsole, printable

console = PlainConsole()
errors = PlainConsole(stderr=True, soft_wrap=True)

Advance = Callable[[int, int, str], None]


def notice(text: str) -> None:
    """Tells something that is worth knowing and no error."""
    errors.print(Text.assemble(("note:", "yellow"), f" {text}"))


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """A progress bar on stderr; the value is called as `advance(done, total, what)`."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}", markup=False),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,  # or it leaves an empty line
    )
    with bar:
        task = bar.add_task(title, total=None, what="loading the model")

        def advance(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, what=what)

        yield advance


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
