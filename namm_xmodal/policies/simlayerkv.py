"""SimLayerKV."""

from dataclasses import dataclass, fields

from torch import Tensor

from namm_xmodal.policies.pins import check_count, check_number, pin
from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.selection import keep_above
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape, plain


@dataclass(frozen=True, kw_only=True)
class SimLayerKV:
    """Keeps only the first and newest tokens in layers that attend to little else, everything in others (arXiv 2410.13846).

    A layer is lazy if its newest `queries` queries, averaged over its heads, give more than `threshold` of their
    attention to the first `num_sinks` and the newest `recent` tokens. It has no budget: how much stays is the model's
    doing.

    Deviates: the paper decides once for each layer, by the first decoded token or by the end of the prompt; here at
    every update. A layer that was lazy once holds nothing else any more and stays lazy. Batch rows decide on their own.

    Attributes:
        threshold: Share of attention above which a layer is lazy; 0.9 in the published code.
        queries: Newest queries that are looked at; 1 in the decoding variant of the paper, 32 in the other.
        num_sinks: First tokens that stay; 4 in the paper.
        recent: Newest tokens that stay; 1024 in the paper.
    """

    threshold: float = 0.9
    queries: int = 1
    num_sinks: int = 4
    recent: int = 1024

    def __post_init__(self) -> None:
        """Refuses a share outside [0, 1] and negative counts."""
        for each in fields(self):
            object.__setattr__(self, each.name, plain(getattr(self, each.name)))
        check_number("threshold", self.threshold, 0, 1)
        check_count("queries", self.queries, 1)
        check_count("num_sinks", self.num_sinks, 0)
        check_count("recent", self.recent, 1)

    @property
    def reads(self) -> Reads:
        """The newest attention rows."""
        return Reads(rows=self.queries)

    def start(self, state: State, shape: LayerShape) -> None:
        """The newest rows."""
        state.add_token_buffer("rows", self.queries, narrow=True, window=self.queries)

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers the newest rows."""
        assert tile.rows is not None
        remember(state.token("rows"), tile.rows, tile.first)

    def score(self, observation: Observation) -> Tensor:
        """Infinity for the tokens that stay anyway, -1 for the others of a lazy layer, else 0: (B, H, S)."""
        rows = recall(observation.state.token("rows"), observation.seen)  # (B, H, m, S)
        rest = observation.live & (observation.positions >= self.num_sinks)
        rest &= observation.positions < observation.seen - self.recent
        elsewhere = rows.masked_fill(~rest[:, :, None], 0.0).sum(-1).mean((1, 2))  # (B,)
        lazy = elsewhere < 1 - self.threshold
        scores = -lazy.float()[:, None, None].expand(rest.shape)
        return pin(scores, observation, first=self.num_sinks, recent=self.recent)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """Everything that does not score below 0: (B, H, S) bool."""
        return keep_above(scores, candidates)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Whether there is anything beside the tokens that always stay."""
        return seen > self.num_sinks + self.recent

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """Works with any schedule."""
