"""A population of NAMMs in one batch: each row is pruned by its own member."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from namm_xmodal.errors import CheckpointError
from namm_xmodal.policies.namm.policy import Namm
from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, eq=False)
class NammPopulation:
    """Members that share features, statistics and knobs, and differ in their parameters.

    A prefix that nothing is evicted from runs once at batch 1; `batch_repeat_interleave(P)` then gives each member a
    row.

    Attributes:
        parameters: (P, N) float32, one flat vector per member.
        template: Features, scorer, statistics, threshold and cap of every member.
        members: (B,) int64, the member that prunes each batch row; one row per member if None.
    """

    parameters: Tensor
    template: Namm
    members: Tensor | None = field(default=None)

    def __post_init__(self) -> None:
        """Refuses vectors that do not fit the template, or a template that shares by layer or head.

        Raises:
            CheckpointError: With both lengths.
        """
        expected = self.template.parameters.shape[-1]
        if self.parameters.ndim != 2 or self.parameters.shape[-1] != expected or self.template.sharing != "model":
            raise CheckpointError(
                f"population of shape {tuple(self.parameters.shape)}, sharing={self.template.sharing!r}: expected "
                f"(members, {expected}) vectors that the whole model shares"
            )

    @property
    def reads(self) -> Reads:
        """As the template."""
        return self.template.reads

    def start(self, state: State, shape: LayerShape) -> None:
        """As the template."""
        self.template.start(state, shape)

    def observe(self, state: State, tile: Tile) -> None:
        """As the template: no member changes what is remembered."""
        self.template.observe(state, tile)

    def score(self, observation: Observation) -> Tensor:
        """Scores (B, H, S), each batch row by its member's parameters."""
        return self.template.score_with(observation, self._of_rows(observation)[:, None])

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """As the template keeps."""
        return self.template.keep(scores, candidates)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Always."""
        return True

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """As the template checks."""
        self.template.check_clock(update_every, protect_first, protect_recent)

    def _of_rows(self, observation: Observation) -> Tensor:
        """(B, N) parameters of the member of each batch row."""
        batch = observation.positions.shape[0]
        members = torch.arange(len(self.parameters)) if self.members is None else self.members
        rows = torch.arange(batch) if observation.rows is None else observation.rows.cpu()
        if observation.rows is None and batch != len(members):
            raise CheckpointError(
                f"{batch} batch rows for {len(members)} rows of members: repeat the shared prefix before it can be pruned"
            )
        return self.parameters[members[rows]].to(observation.keys.device)
