"""The message after Ctrl-C, shown only where partial results are saved."""

from collections.abc import Iterator
from contextlib import contextmanager

AGAIN = "; partial results are saved, run the command again to resume"


@contextmanager
def resumable(words: str = AGAIN) -> Iterator[None]:
    """A block that saves as it goes; Ctrl-C inside ends the command with these words.

    Args:
        words: How to resume, after "interrupted".
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(words) from interrupt
