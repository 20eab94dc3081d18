"""The policy protocol: what a policy reads, observes, scores and keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape

ALL_ROWS = -1
"""`Reads.rows` of a policy that watches every attention row."""

Rotary = Callable[[Tensor], tuple[Tensor, Tensor]]
"""positions (P,) -> cosines and sines (P, R) of the model's rotary embedding, R <= D rotated dimensions."""


@dataclass(frozen=True)
class Reads:
    """What the engine must collect for a policy between two updates.

    Attributes:
        rows: How many attention rows before each update: 0 none, n the last n, `ALL_ROWS` every one.
        queries: How many of the last query vectors before each update.
        rotary: Whether scores need the model's rotary embedding; models without one are refused.
    """

    rows: int = 0
    queries: int = 0
    rotary: bool = False

    @property
    def anything(self) -> bool:
        """Whether `observe` has to be called."""
        return self.rows != 0 or self.queries != 0


@dataclass(frozen=True)
class Tile:
    """Consecutive queries of some batch rows and kv heads, those of the state at hand, and what they attended to.

    Heads that keep very different numbers of tokens are stored apart and watched one part after the other, unless the
    policy reads queries as well or declared row buffers.

    Attributes:
        first: Position of the tile's first query.
        rows: (B, H, Q, V) float attention after the softmax, averaged over the query heads of a kv head; covers the
            first V <= S slots, the others are not visible to any of these queries. None if the policy reads no rows.
        queries: (B, Hq, Q, D) query vectors as attention sees them. None if the policy reads none.
    """

    first: int
    rows: Tensor | None
    queries: Tensor | None


@dataclass(frozen=True)
class Observation:
    """A layer's cache at an update, for batch rows that have all seen the same number of tokens.

    Attributes:
        keys: (B, H, S, D) as cached, after rotary embedding. Dead slots hold stale keys: mask them by `live`.
        values: (B, H, S, D).
        positions: (B, H, S) int64, -1 in dead slots.
        live: (B, H, S) bool.
        seen: Tokens seen by these rows; the newest has position `seen - 1`.
        state: The policy's buffers for these rows.
        shape: Sizes of the layer.
        scaling: Factor of the logits in attention.
        rotary: The model's rotary embedding, None for models without one.
        rows: (B,) batch rows of the cache that these are, None for all; for policies whose parameters differ by row.
    """

    keys: Tensor
    values: Tensor
    positions: Tensor
    live: Tensor
    seen: int
    state: State
    shape: LayerShape
    scaling: float
    rotary: Rotary | None = None
    rows: Tensor | None = None


@dataclass(frozen=True)
class Candidates:
    """The tokens that a policy may choose from, and what else the choice may depend on besides the scores.

    Attributes:
        live: (B, H, S) bool, the tokens to choose from.
        protected: (B, H, S) bool, tokens that stay whatever their score (they count towards a budget).
        seen: Tokens seen by these rows.
        shape: Sizes of the layer.
        positions: (B, H, S) int64, -1 in dead slots; the engine always gives them.
    """

    live: Tensor
    protected: Tensor
    seen: int
    shape: LayerShape
    positions: Tensor | None = None


@runtime_checkable
class Policy(Protocol):
    """A memory policy. It holds only hyper-parameters and weights; what it remembers of a text is in `State`.

    `check_policy` runs this contract on any implementation.
    """

    @property
    def reads(self) -> Reads:
        """What to collect between updates."""

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares this policy's buffers in a new layer's state."""

    def observe(self, state: State, tile: Tile) -> None:
        """Takes in a tile. Tiles of any sizes must leave the same state as one tile of their concatenation."""

    def score(self, observation: Observation) -> Tensor:
        """Scores (B, H, S); higher is kept longer. Values in dead slots are ignored."""

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """Which tokens stay: (B, H, S) bool, true for every protected token, false for every dead slot."""

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Whether an update after `seen` tokens could evict anything; false lets the engine skip it."""

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """Raises `ClockError` or `BudgetError` if this policy cannot work with these settings."""


@runtime_checkable
class ChoosesForLater(Protocol):
    """A policy of which one layer chooses for all later ones, in the forward that reads the prompt into an empty cache.

    It works under the schedule `post_prefill` alone. The layer at `chooser` evicts nothing itself: what any of its
    heads keeps is what all heads of later layers attend to in the same forward already, and hold from then on.
    """

    @property
    def chooser(self) -> int:
        """The layer, 0 the first."""
