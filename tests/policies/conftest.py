"""A small layer with ragged dead slots, whose dead slots hold garbage that no formula may touch."""

from dataclasses import dataclass

import pytest
import torch

from namm_xmodal.policies.protocol import Candidates, Observation, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

GARBAGE = 1e6
BATCH, HEADS, QUERY_HEADS, SLOTS, WIDTH, SEEN = 2, 2, 4, 14, 8, 20


@dataclass
class Layer:
    shape: LayerShape
    keys: torch.Tensor
    values: torch.Tensor
    positions: torch.Tensor
    queries: torch.Tensor
    state: State
    scaling: float = 0.3
    seen: int = SEEN
    rotary: object = None

    @property
    def live(self):
        return self.positions >= 0

    def rows(self):
        """(B, H, SEEN, S): attention of every query of the text over the slots, zero for dead and for newer tokens."""
        logits = torch.randn(BATCH, HEADS, self.seen, SLOTS, generator=torch.Generator().manual_seed(5)) * 2
        visible = self.live[:, :, None] & (self.positions[:, :, None] <= torch.arange(self.seen)[:, None])
        return logits.masked_fill(~visible, -torch.inf).softmax(-1).nan_to_num(0.0)

    def observe(self, policy, tile=5, first=0):
        """Shows the policy rows and queries from `first` on, tile by tile; spoils its buffers in dead slots."""
        policy.start(self.state, self.shape)
        rows = self.rows()
        for start in range(first, self.seen, tile):
            stop = min(self.seen, start + tile)
            policy.observe(self.state, Tile(start, rows[:, :, start:stop], self.queries[:, :, start:stop]))
        for name in self.state._token:
            self.state.token(name).masked_fill_(~self.live[:, :, None], GARBAGE)

    def observation(self):
        return Observation(
            self.keys,
            self.values,
            self.positions,
            self.live,
            self.seen,
            self.state,
            self.shape,
            self.scaling,
            self.rotary,
        )

    def score(self, policy):
        return policy.score(self.observation())

    def candidates(self, protect_first=0, protect_recent=1):
        protected = self.live & ((self.positions < protect_first) | (self.positions >= self.seen - protect_recent))
        return Candidates(self.live, protected, self.seen, self.shape)

    def kept(self, policy, scores=None, **protect):
        """Kept positions by [row][head]."""
        keep = policy.keep(self.score(policy) if scores is None else scores, self.candidates(**protect))
        return [[self.positions[b, h][keep[b, h]].tolist() for h in range(HEADS)] for b in range(BATCH)]

    def heads(self):
        """(row, head, live slots in order of age) of every head."""
        for row in range(BATCH):
            for head in range(HEADS):
                yield row, head, self.live[row, head].nonzero()[:, 0].tolist()


@pytest.fixture
def layer():
    source = torch.Generator().manual_seed(3)
    shape = LayerShape(
        layer=1, num_layers=4, num_attention_heads=QUERY_HEADS, num_key_value_heads=HEADS, head_dim=WIDTH
    )
    positions = torch.full((BATCH, HEADS, SLOTS), -1)
    for row in range(BATCH):
        for head in range(HEADS):
            count = SLOTS - 2 * row - 3 * head
            slots = torch.randperm(SLOTS, generator=source)[:count].sort().values  # dead slots anywhere
            old = torch.randperm(SEEN - 1, generator=source)[: count - 1].sort().values
            positions[row, head, slots] = torch.cat([old, torch.tensor([SEEN - 1])])
    keys = torch.randn(BATCH, HEADS, SLOTS, WIDTH, generator=source) + 0.5
    values = torch.randn(BATCH, HEADS, SLOTS, WIDTH, generator=source)
    dead = (positions < 0)[..., None]
    queries = torch.randn(BATCH, QUERY_HEADS, SEEN, WIDTH, generator=source)
    return Layer(
        shape,
        keys.masked_fill(dead, GARBAGE),
        values.masked_fill(dead, GARBAGE),
        positions,
        queries,
        State(BATCH, HEADS, SLOTS, torch.device("cpu")),
    )
