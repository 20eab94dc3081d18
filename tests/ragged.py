"""Policies for tests of the engine: they keep tokens by a fixed random number each, so that every head differs."""

from dataclasses import dataclass

import torch

from namm_xmodal.policies.protocol import ALL_ROWS, Reads
from namm_xmodal.policies.selection import keep_above


def fixed_noise(positions: torch.Tensor, layer: int, salt: int) -> torch.Tensor:
    """(B, H, S) numbers in [0, 1) that depend on layer, head and position alone."""
    head = torch.arange(positions.shape[1])[None, :, None]
    return ((positions * 12.9898 + head * 78.233 + layer * 37.719 + salt * 4.1414).sin() * 43758.5453).double() % 1.0


@dataclass(frozen=True)
class RaggedNoise:
    """Keeps a token with a probability that differs from head to head: really ragged."""

    share: float = 0.6
    salt: int = 0

    @property
    def reads(self):
        return Reads()

    def start(self, state, shape):
        pass

    def observe(self, state, tile):
        raise AssertionError("reads nothing")

    def score(self, observation):
        share = self.share - 0.15 * torch.arange(observation.positions.shape[1])[None, :, None]
        return share - fixed_noise(observation.positions, observation.shape.layer, self.salt)

    def keep(self, scores, candidates):
        return keep_above(scores, candidates)

    def may_evict(self, seen, shape):
        return True

    def check_clock(self, update_every, protect_first, protect_recent):
        pass


@dataclass(frozen=True)
class RaggedByAttention(RaggedNoise):
    """Keeps what received attention above a token-dependent share of the mean: depends on every row that was observed."""

    @property
    def reads(self):
        return Reads(rows=ALL_ROWS)

    def start(self, state, shape):
        state.add_token_buffer("received", 1)

    def observe(self, state, tile):
        state.token("received")[:, :, 0, : tile.rows.shape[-1]] += tile.rows.sum(2).float()

    def score(self, observation):
        received = observation.state.token("received")[:, :, 0].masked_fill(~observation.live, 0)
        mean = received.sum(-1, keepdim=True) / observation.live.sum(-1, keepdim=True)
        return received - mean * fixed_noise(observation.positions, observation.shape.layer, self.salt) * self.share
