"""Key novelty without the effect of position."""

import torch
from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.namm.channels.key_novelty import novelty
from namm_xmodal.policies.protocol import Observation, Reads
from namm_xmodal.policies.rotation import unrotate


class UnrotatedKeyNovelty(Channel):
    """Key novelty of keys rotated back to position 0, so that a repeated token is equally novel in both places.

    Layers that do not turn their keys are read as they are; a model without any rotary embedding is refused, because
    `key_novelty` is the same there.
    """

    name = "unrotated_key_novelty"
    reads = Reads(rotary=True)

    def read(self, observation: Observation) -> Tensor:
        """See `Channel.read`: (B, H, 1, S)."""
        return novelty(unrotated_keys(observation), observation.live)


def unrotated_keys(observation: Observation) -> Tensor:
    """(B, H, S, D) float32 keys, turned back to position 0 where the layer turns them."""
    keys = observation.keys.float()
    if observation.rotary is None:
        return keys
    cosines, sines = observation.rotary(torch.arange(observation.seen, device=keys.device))  # (seen, R)
    place = observation.positions.clamp(min=0)
    return unrotate(keys, cosines.float()[place], sines.float()[place])
