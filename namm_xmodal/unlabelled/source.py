"""Inputs without labels, and the model that reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class UnlabelledInput:
    """One text, prompt or episode.

    Attributes:
        name: Of its own among those of its source.
        model: What `pruned` takes.
        inputs: What the adapter's `forward` takes, (1, T, ...) each.
        cached: Tokens from the start that later ones ask about.
        count_from: Position of the first query that counts; 0 if all do.
        last: Share of the last query in what is counted; the others have the rest.
    """

    name: str
    model: Any
    inputs: Mapping[str, Tensor]
    cached: int
    count_from: int = 0
    last: float = 0.0

    @property
    def length(self) -> int:
        """Its tokens, T."""
        return next(iter(self.inputs.values())).shape[1]


Inputs = Iterator[UnlabelledInput]
