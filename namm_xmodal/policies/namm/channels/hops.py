"""Attention hop by hop: frames of the last 32 attention rows, taken in one tile at a time, whatever the tiles' sizes."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm.channels.channel import Channel, Standardise
from namm_xmodal.policies.namm.channels.in_context import orders_of_magnitude
from namm_xmodal.policies.protocol import ALL_ROWS, Observation, Reads, Tile
from namm_xmodal.policies.state import State

LARGEST_HOP = 1024
"""The transform of a frame is a matrix of its length squared."""


class HopChannel(Channel):
    """Exponential averages of something that is computed from each frame of attention rows, once per hop.

    State per token and head: `omega` (the averages), `tail` (the 16 rows of the last whole hop), `partial` (rows of the hop
    under way, as many as the clock is away from a multiple of 16). In context it is the logarithm that is standardised.
    """

    usual = "frozen"
    reads = Reads(rows=ALL_ROWS)

    def __init__(
        self, n_fft: int = 32, hop: int = 16, ema_coefficient: float = 0.99, *, standardise: Standardise | None = None
    ) -> None:
        """Makes the channel.

        Args:
            n_fft: Length of a frame in queries; twice the hop.
            hop: Queries between frames.
            ema_coefficient: Decay per query, in (0, 1). Feature statistics depend on it.
            standardise: See `Channel`.

        Raises:
            ConfigError: If the values do not fit together.
        """
        super().__init__(standardise=standardise)
        if not 1 <= hop <= LARGEST_HOP or n_fft != 2 * hop:
            raise ConfigError(
                f"n_fft={n_fft}, hop={hop}: expected n_fft to be twice the hop, as in 32 and 16, and the hop at most "
                f"{LARGEST_HOP}"
            )
        if not 0.0 < ema_coefficient < 1.0:
            raise ConfigError(f"ema_coefficient={ema_coefficient}: expected a decay in (0, 1), for example 0.99")
        self.n_fft, self.hop, self.ema_coefficient = n_fft, hop, ema_coefficient

    def config(self) -> dict[str, Any]:
        """Hyper-parameters for saving."""
        return {"n_fft": self.n_fft, "hop": self.hop, "ema_coefficient": self.ema_coefficient}

    def start(self, state: State) -> None:
        """Declares `omega`, `tail` and `partial`."""
        state.add_token_buffer(f"{self.name}.omega", self.raw, narrow=True)
        state.add_token_buffer(f"{self.name}.tail", self.hop, narrow=True)
        state.add_token_buffer(f"{self.name}.partial", self.hop, narrow=True, window=self.hop)

    def read(self, observation: Observation) -> Tensor:
        """See `Channel.read`: the averages, (B, H, raw, S)."""
        omega = observation.state.token(f"{self.name}.omega").float()
        return omega if self.standardise == "frozen" else orders_of_magnitude(omega)

    def observe(self, state: State, tile: Tile) -> None:
        """Folds whole hops into the average and keeps what remains for later."""
        assert tile.rows is not None
        rows = tile.rows.float()
        length, reach = rows.shape[2], rows.shape[3]
        stored, tail = (state.token(f"{self.name}.{part}")[..., :reach] for part in ("omega", "tail"))
        omega = stored.float()  # itself, unless it is narrow: then averages are rounded once for each tile
        scratch = rows.new_empty(rows.shape[0] * rows.shape[1] * self.n_fft * reach)
        done = 0
        while done < length:
            phase = (tile.first + done) % self.hop
            count = min(self.hop - phase, length - done)
            if count == self.hop:
                start = done - self.hop
                if start >= 0:  # both halves of the frame lie in the tile
                    frame = rows[:, :, start : start + self.n_fft]
                else:
                    frame = torch.cat([tail.float(), rows[:, :, : done + self.hop][:, :, -self.hop :]], dim=2)
                self.fold(omega, frame, scratch)
                tail_from = rows[:, :, done : done + self.hop]
            else:
                partial = state.token(f"{self.name}.partial")
                place = partial[:, :, phase : phase + count]
                place[..., :reach] = rows[:, :, done : done + count]
                place[..., reach:] = 0  # newer tokens than these queries
                tail_from = None
                if phase + count == self.hop:
                    whole = partial[..., :reach].float()
                    self.fold(omega, torch.cat([tail.float(), whole], dim=2), scratch)
                    tail_from = whole
            done += count
            if tail_from is not None and (done + self.hop > length or done < 2 * self.hop):
                tail.copy_(tail_from)
        if omega is not stored:
            stored.copy_(omega)

    @abstractmethod
    def fold(self, omega: Tensor, frame: Tensor, scratch: Tensor) -> None:
        """Takes a frame into the averages.

        Args:
            omega: (B, H, raw, V), changed in place.
            frame: (B, H, n_fft, V) attention rows, oldest first.
            scratch: Room for B * H * n_fft * V numbers.
        """
