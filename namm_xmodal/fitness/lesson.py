"""One sample for gradients: the inputs of a model, and the loss of its outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.fitness.population_run import PruningSettings


@dataclass(frozen=True)
class Lesson:
    """A sample of any modality.

    Attributes:
        model: The base model.
        adapter: Feeds it.
        inputs: What the adapter's `forward` takes; one row, longer than one update.
        loss: From what `forward` returns to a scalar, nats.
        pruning: Clock and protection.
        source: Whose thresholds decide: the label of a source of agreement, "" for tasks.
    """

    model: Any
    adapter: Adapter
    inputs: Mapping[str, Any]
    loss: Callable[[Tensor], Tensor]
    pruning: PruningSettings
    source: str = ""

    @property
    def length(self) -> int:
        """Its tokens, T."""
        return int(next(iter(self.inputs.values())).shape[1])
