"""L2 norm of keys."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.pins import check_count
from namm_xmodal.policies.protocol import Observation
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, kw_only=True)
class L2Norm(Budgeted):
    """Keeps the tokens whose keys are shortest, since these tend to receive most attention (arXiv 2406.11430).

    score(s) = -||k_s||.

    Deviates: the paper leaves its first two layers alone in most experiments; here no layer is skipped unless
    `skip_layers` says so, because a skipped layer exceeds the budget and comparisons are made at equal budgets.

    Attributes:
        skip_layers: Layers that keep everything; (0, 1) in the paper's language modelling.
    """

    skip_layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuses negative layers; takes any sequence of layers."""
        super().__post_init__()
        object.__setattr__(self, "skip_layers", tuple(self.skip_layers))
        for layer in self.skip_layers:
            check_count("skip_layers", layer, 0)

    def score(self, observation: Observation) -> Tensor:
        """Negative key lengths: (B, H, S)."""
        length: Tensor = torch.linalg.vector_norm(observation.keys.float(), dim=-1)
        return -length

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Never in a skipped layer."""
        return shape.layer not in self.skip_layers and super().may_evict(seen, shape)
