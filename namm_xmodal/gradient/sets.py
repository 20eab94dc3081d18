"""Which parameter vector scores which traced head: one for all, one for each layer, or one for each kv head of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.policies.namm.policy import Sharing
from namm_xmodal.traces.shards import Traces


@dataclass(frozen=True)
class Sets:
    """The vectors of one model, layer-major as in `Namm.parameters`.

    Attributes:
        sharing: Which layers and heads share a vector.
        layers: Of the model; 1 if all share.
        heads: kv heads of each layer; 1 if those of a layer share.
    """

    sharing: Sharing = "model"
    layers: int = 1
    heads: int = 1

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return self.layers * self.heads

    def of(self, traces: Traces) -> Tensor:
        """(N,) int64 vector of each traced head."""
        if self.sharing == "model":
            return torch.zeros_like(traces.layers)
        if self.sharing == "layer":
            return traces.layers
        assert traces.heads is not None
        return traces.layers * self.heads + traces.heads


def sets_of(traces: Mapping[str, Sequence[Traces]], sharing: Sharing) -> Sets:
    """The vectors that traces can train.

    Args:
        traces: By source.
        sharing: Which layers and heads share a vector.

    Raises:
        ConfigError: If the sources are models of several shapes.
        DataError: If traces do not say which head is which, or some vector has none.
    """
    if sharing == "model":
        return Sets()
    shapes: dict[tuple[int, int], str] = {}
    for name, parts in traces.items():
        for each in parts:
            if each.heads is None or each.shape is None:
                raise DataError(
                    f"traces.{name}: recorded by an earlier version without head numbers; record them again for "
                    f"sharing: {sharing} (another --run, without recorded)"
                )
            layers, heads = each.shape.tolist()
            shapes[layers, heads] = name
    if len(shapes) > 1:
        words = " and ".join(
            f"{layers} layers of {heads} kv heads ({name})" for (layers, heads), name in shapes.items()
        )
        raise ConfigError(f"sharing: {sharing}: traces of {words}; expected sources of one model")
    ((layers, heads),) = shapes
    found = Sets(sharing, layers, heads if sharing == "head" else 1)
    present = torch.cat([found.of(each) for parts in traces.values() for each in parts]).unique()
    if len(present) < found.count:
        missing = min(set(range(found.count)) - set(present.tolist()))
        head = f", kv head {missing % heads}," if sharing == "head" else ""
        raise DataError(
            f"sharing: {sharing}: layer {missing // found.heads}{head} has no traces; record more heads or inputs "
            "(traces.*.heads, traces.*.count); layers with sliding windows have none"
        )
    return found
