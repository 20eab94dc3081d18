"""The norm of a token's value, which bounds its effect on the output."""

import torch
from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.protocol import Observation

_SHORTEST = 1e-6


class ValueNorm(Channel):
    """The logarithm of the length of a token's value."""

    name = "value_norm"

    def read(self, observation: Observation) -> Tensor:
        """See `Channel.read`: (B, H, 1, S)."""
        values = observation.values.float().masked_fill(~observation.live[..., None], 0.0)
        length: Tensor = torch.linalg.vector_norm(values, dim=-1)
        return length.clamp(min=_SHORTEST).log()[:, :, None]
