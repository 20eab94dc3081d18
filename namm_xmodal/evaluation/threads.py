"""The number of threads that a model uses."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads(count: int) -> Iterator[None]:
    """As many threads as a section says; afterwards as many as the process had before.

    More threads than free cores are slower than one thread, since they wait for each other in busy loops.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
