"""Expected attention."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.pins import check_count, check_number, check_pins, pin
from namm_xmodal.policies.protocol import Observation, Reads, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.rotation import rotate, unrotate
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


@dataclass(frozen=True, kw_only=True)
class ExpectedAttention(Budgeted):
    """Keeps what future queries will attend to, if they are distributed like past ones (arXiv 2510.00636).

    Past queries, turned back to position 0, have mean m and covariance C per query head; R is the mean rotation of the
    next `n_future` positions.
    z(s) = c * (R m) . k_s + c^2 / 2 * k_s^T (R C R^T) k_s with c the factor of the logits,
    score(s) = (softmax_s z, averaged over the query heads of a kv head, + eps) * ||v_s||; infinity for the first `n_sink`.

    Deviates: the paper takes queries before rotation from the hidden states of the whole prompt; here rotated queries are
    turned back, which gives the same numbers without knowing the architecture, and the newest `n_queries` stand for all,
    which bounds memory while decoding. Models without rotary positions are not turned.

    Attributes:
        n_future: Future positions that are averaged over; 512 in the paper.
        n_sink: First tokens that always stay and whose queries do not count; 4 in the paper.
        n_queries: Past queries that the distribution is estimated from. They take no memory after an update if the next
            one is at least as many tokens away.
        eps: Added before the multiplication with value lengths; keeps long values that get little attention.
        use_covariance: Include the quadratic term.
        use_value_norm: Multiply by value lengths.
    """

    n_future: int = 512
    n_sink: int = 4
    n_queries: int = 128
    eps: float = 0.0
    use_covariance: bool = True
    use_value_norm: bool = True

    def __post_init__(self) -> None:
        """Refuses negative counts."""
        super().__post_init__()
        check_count("n_future", self.n_future, 1)
        check_count("n_sink", self.n_sink, 0)
        check_count("n_queries", self.n_queries, 1)
        check_number("eps", self.eps, 0)

    @property
    def reads(self) -> Reads:
        """The newest queries."""
        return Reads(queries=self.n_queries)

    def start(self, state: State, shape: LayerShape) -> None:
        """The newest queries."""
        size = (shape.num_attention_heads, self.n_queries, shape.head_dim)
        state.add_row_buffer("queries", *size, narrow=True, window=self.n_queries)

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers the newest queries."""
        assert tile.queries is not None
        remember(state.row("queries"), tile.queries, tile.first)

    def score(self, observation: Observation) -> Tensor:
        """Expected attention, weighted by value lengths, sinks above all: (B, H, S)."""
        mean, covariance = self._future_queries(observation)
        live = observation.live & (observation.positions >= self.n_sink)
        keys = observation.keys.float().masked_fill(~live[..., None], 0.0)  # (B, H, S, D)
        heads = keys.shape[1]
        expected = mean.unflatten(1, (heads, -1)) @ keys.transpose(-1, -2) * observation.scaling  # (B, H, G, S)
        if covariance is not None:
            shared = keys[:, :, None]  # (B, H, 1, S, D)
            spread = ((shared @ covariance.unflatten(1, (heads, -1))) * shared).sum(-1)  # (B, H, G, S)
            expected = expected + spread * (observation.scaling**2 / 2)
        # A finite lowest logit: a head that holds nothing but sinks must not divide zero by zero.
        expected = expected.masked_fill(~live[:, :, None], torch.finfo(expected.dtype).min)
        score = expected.softmax(-1).mean(2)
        if self.use_value_norm:
            score = (score + self.eps) * torch.linalg.vector_norm(observation.values.float(), dim=-1)
        return pin(score, observation, first=self.n_sink)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """A budget in tokens must hold the sinks."""
        super().check_clock(update_every, protect_first, protect_recent)
        what = f"n_sink={self.n_sink}"
        check_pins(self.budget, (protect_first, protect_recent), first=self.n_sink, what=what)

    def _future_queries(self, observation: Observation) -> tuple[Tensor, Tensor | None]:
        """Mean (B, Hq, D) and covariance (B, Hq, D, D) of queries at the next positions."""
        seen, rotary = observation.seen, observation.rotary
        queries = recall(observation.state.row("queries"), seen)  # (B, Hq, m, D)
        positions = torch.arange(seen - queries.shape[2], seen, device=queries.device)
        if seen > self.n_sink:
            queries, positions = queries[:, :, positions >= self.n_sink], positions[positions >= self.n_sink]
        if rotary is not None:
            cosines, sines = rotary(positions)  # (m, R)
            queries = unrotate(queries, cosines.float(), sines.float())
        mean = queries.mean(2)
        centred = queries - mean[:, :, None]
        covariance = centred.transpose(-1, -2) @ centred / queries.shape[2] if self.use_covariance else None
        if rotary is None:
            return mean, covariance
        # Rotation is linear in the tables: the mean rotation is the rotation by mean tables.
        cosines, sines = (
            table.float().mean(0) for table in rotary(torch.arange(seen, seen + self.n_future).to(positions))
        )
        mean = rotate(mean, cosines, sines)
        if covariance is not None:
            covariance = rotate(rotate(covariance, cosines, sines).transpose(-1, -2), cosines, sines)
        return mean, covariance
