"""The terminal: one console, one style of progress bar, notices on stderr."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(highlight=False, soft_wrap=False, emoji=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

Advance = Callable[[int, int, str], None]


def notice(text: str) -> None:
    """Tells something that is worth knowing and no error."""
    errors.print(f"[yellow]note:[/yellow] {text}", markup=True)


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """A progress bar on stderr; the value is called as `advance(done, total, what)`."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}"),
        console=errors,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, what="loading the model")

        def advance(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, what=what)

        yield advance


def show_log(level: int) -> None:
    """Prints what the package logs on stderr, without times and names."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("namm_xmodal")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
