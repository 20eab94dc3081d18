"""Evicts tokens that belong together, such as return, state and action of one step, as a whole."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.groups import group_means, group_of
from namm_xmodal.policies.protocol import Candidates, Observation
from namm_xmodal.policies.wrapper import Wrapper
from namm_xmodal.types import plain


@dataclass(frozen=True)
class WholeSteps(Wrapper):
    """A policy whose choice is made for groups of `size` neighbouring tokens.

    A group scores the mean of its cached tokens, and stays only if all of them would: within a budget, so one that is no
    multiple of `size` holds a little less. Protected tokens stay whatever becomes of their group.

    Attributes:
        size: Tokens of a group, by original position: group 0 is positions 0 to size - 1.
    """

    size: int = 3

    def __post_init__(self) -> None:
        """Refuses a group of no tokens.

        Raises:
            ConfigError: With the value given.
        """
        object.__setattr__(self, "size", plain(self.size))
        if self.size < 1:
            raise ConfigError(f"size={self.size}: expected at least 1 token, 3 for steps of a Decision Transformer")

    def score(self, observation: Observation) -> Tensor:
        """(B, H, S): each token scores the mean of its group."""
        return group_means(self.base.score(observation), observation.live, observation, self.size)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """(B, H, S) bool: the base's choice without the groups that it would split."""
        assert candidates.positions is not None
        keep = self.base.keep(scores, candidates)
        groups = group_of(candidates.positions, self.size)
        room = (*keep.shape[:2], candidates.seen // self.size + 1)
        lost = torch.zeros(room, dtype=torch.int8, device=keep.device)
        lost = lost.scatter_add(-1, groups, (candidates.live & ~keep).to(torch.int8))
        return (keep & (lost.gather(-1, groups) == 0)) | (candidates.protected & candidates.live)
