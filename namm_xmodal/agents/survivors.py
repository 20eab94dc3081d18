"""Which tokens are still there: by kind (return, state, action) and age, layer by layer."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from namm_xmodal.adapters.decision_transformer import KINDS, TOKENS_PER_STEP

AGES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Upper ends, in steps, of the bins of age; a last bin takes everything older."""
EVERY = 25
"""Steps between two looks."""


class Survivors:
    """Counts, for each episode of a batch, tokens in memory and tokens fed, by kind and bin of age."""

    def __init__(self, layers: int, batch: int) -> None:
        """Starts empty."""
        bins = len(AGES) + 1
        self.kept: NDArray[np.float64] = np.zeros((batch, layers, len(KINDS), bins))
        self.fed: NDArray[np.float64] = np.zeros((batch, len(KINDS), bins))

    @torch.no_grad()
    def look(self, cache: Any, running: NDArray[np.bool_]) -> None:
        """Adds what a cache holds now, for the episodes that still run."""
        seen = cache.layers[0].seen
        rows = torch.as_tensor(running)
        position = torch.arange(seen)
        everything = self._table(position.expand(1, 1, -1), seen)[0, 0]
        self.fed[running] += everything
        for number, layer in enumerate(cache.layers):
            table = self._table(layer.index[rows.to(layer.index.device)].cpu(), seen)  # (b, H, kinds, bins)
            self.kept[running, number] += table.mean(1)

    def of(self, row: int) -> dict[str, Any]:
        """One episode's counts, per look: plain JSON types."""
        return {"kept": self.kept[row].round(3).tolist(), "fed": self.fed[row].tolist()}

    @staticmethod
    def _table(index: torch.Tensor, seen: int) -> NDArray[np.float64]:
        """(b, H, S) original indices, -1 for none -> (b, H, kinds, bins) counts."""
        kind = index.clamp(min=0) % TOKENS_PER_STEP
        age = (seen - 1) // TOKENS_PER_STEP - index.clamp(min=0) // TOKENS_PER_STEP
        bin_ = torch.bucketize(age, torch.tensor(AGES), right=True)
        bins = len(AGES) + 1
        place = kind * bins + bin_
        counts = torch.zeros(*index.shape[:2], len(KINDS) * bins, dtype=torch.float64)
        counts.scatter_add_(-1, place, (index >= 0).double())
        table: NDArray[np.float64] = counts.unflatten(-1, (len(KINDS), bins)).numpy()
        return table
