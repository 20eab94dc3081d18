"""Random eviction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.pins import check_count
from namm_xmodal.policies.protocol import Observation


@dataclass(frozen=True, kw_only=True)
class RandomEviction(Budgeted):
    """Keeps tokens by a fixed random priority: the baseline of a policy without any information.

    score(s) = hash(seed, layer, head, position of s) in [0, 1).

    A priority that is drawn again at every update would evict old tokens, which have survived more draws, more often;
    and one that depends on the batch row would make a text's cache depend on its batch-mates.

    Attributes:
        seed: Changes every priority.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses a negative seed."""
        super().__post_init__()
        check_count("seed", self.seed, 0)

    def score(self, observation: Observation) -> Tensor:
        """Uniform numbers: (B, H, S)."""
        positions = observation.positions.clamp(min=0)
        head = torch.arange(positions.shape[1], device=positions.device)[None, :, None]  # (1, H, 1)
        mixed = _mix(_mix(_mix(head + 1) + observation.shape.layer) + self.seed % 2**32)
        return (_mix(mixed + positions) >> 8).float() / 2**24


def _mix(number: Tensor) -> Tensor:
    """A 32-bit hash of integers in which every input bit reaches every output bit (the finaliser of MurmurHash3)."""
    number = number & 0xFFFFFFFF
    number = ((number ^ (number >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF  # int64 wraps around, its low 32 bits stay right
    number = ((number ^ (number >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return number ^ (number >> 16)
