"""DivPrune: keeps the most diverse visual tokens."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from namm_xmodal.video.vision import EncodedVideo
from namm_xmodal.video.visual_tokens import VisualTokens, all_tokens, keep


@dataclass(frozen=True)
class DivPrune:
    """DivPrune (Alvar et al., arXiv 2503.02175): the subset whose smallest mutual distance is largest, greedily.

    Distance is one minus the cosine of projected features. The first token is the one farthest from its nearest neighbour,
    as in the paper; every further one is farthest from those chosen. No training, no question, no attention.

    Attributes:
        positions: `original`: kept tokens keep the positions of the whole video. `closed`: they close up, as published.
    """

    positions: Literal["original", "closed"] = "original"

    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Keeps round(share * N) tokens."""
        whole = all_tokens(video)
        count = max(1, round(share * whole.full))
        chosen = max_min_diverse(whole.features, count)
        kept = keep(whole, chosen.sort().values)
        return kept if self.positions == "original" else replace(kept, positions=None)


def max_min_diverse(features: Tensor, count: int) -> Tensor:
    """(count,) indices of the greedy solution of the max-min diversity problem under cosine distance.

    Args:
        features: (N, D).
        count: At most N.
    """
    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    distance = 1 - unit @ unit.T  # (N, N)
    first = distance.masked_fill(torch.eye(len(unit), dtype=torch.bool, device=unit.device), torch.inf).amin(1).argmax()
    chosen = [int(first)]
    nearest = distance[first].clone()
    nearest[first] = -torch.inf
    while len(chosen) < min(count, len(unit)):
        best = int(nearest.argmax())
        chosen.append(best)
        nearest = torch.minimum(nearest, distance[best])
        nearest[chosen] = -torch.inf
    return torch.tensor(chosen, device=features.device)
