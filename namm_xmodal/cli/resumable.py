"""What Ctrl-C means for a command: said only where something is saved that it can go on from."""

from collections.abc import Iterator
from contextlib import contextmanager

AGAIN = "; partial results are saved, run the command again to resume"


@contextmanager
def resumable(words: str = AGAIN) -> Iterator[None]:
    """A block that saves as it goes; Ctrl-C in it leaves the command with these words.

    Args:
        words: How to go on, after "interrupted".
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(words) from interrupt
