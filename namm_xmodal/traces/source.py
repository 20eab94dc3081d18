"""Inputs that traces are taken from, and the model that reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class TracedInput:
    """One text, prompt or episode.

    Attributes:
        name: For the file of its shard.
        model: What `pruned` takes.
        inputs: What the adapter's `forward` takes, (1, T, ...) each.
        cached: Tokens from the start among which updates are noted.
        count_from: Position of the first query whose attention counts as later attention.
    """

    name: str
    model: Any
    inputs: Mapping[str, Tensor]
    cached: int
    count_from: int = 0


Inputs = Iterator[TracedInput]
