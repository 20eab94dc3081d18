"""The published features: a short-time spectrum of received attention, averaged over time (docs/algorithm.md).

For each token the attention it receives, query after query, is a signal. Every 16 queries, the last 32 values are windowed
(Hann) and Fourier transformed; the 17 magnitudes |X_t| enter an exponential average:

    omega <- a * omega + (1 - a) * |X_t|,        a = ema_coefficient ** hop

This streaming form equals the published batch form (difference 2e-8) and needs 17 averages and the last 16 attention rows
per token and head, instead of all rows between two updates.
"""

import math
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.protocol import Tile
from namm_xmodal.policies.state import State


class SpectrogramFeatures:
    """Averaged magnitudes of the attention spectrum.

    State per token and head: `omega` (bins), `tail` (the 16 rows of the last whole hop), `partial` (rows of the hop under
    way, as many as the clock is away from a multiple of 16).
    """

    name = "spectrogram"

    def __init__(self, n_fft: int = 32, hop: int = 16, ema_coefficient: float = 0.99) -> None:
        """Makes the transform.

        Args:
            n_fft: Window length in queries; twice the hop.
            hop: Queries between frames.
            ema_coefficient: Decay per query, in (0, 1). Feature statistics depend on it.

        Raises:
            ConfigError: If the values do not fit together.
        """
        if hop < 1 or n_fft != 2 * hop:
            raise ConfigError(f"n_fft={n_fft}, hop={hop}: expected n_fft to be twice the hop, as in 32 and 16")
        if not 0.0 < ema_coefficient < 1.0:
            raise ConfigError(f"ema_coefficient={ema_coefficient}: expected a decay in (0, 1), for example 0.99")
        self.n_fft, self.hop, self.ema_coefficient = n_fft, hop, ema_coefficient
        self.channels = n_fft // 2 + 1
        self._basis = _windowed_basis(n_fft)
        self._on: dict[torch.device, Tensor] = {}

    def config(self) -> dict[str, Any]:
        """Hyper-parameters for saving."""
        return {"n_fft": self.n_fft, "hop": self.hop, "ema_coefficient": self.ema_coefficient}

    def start(self, state: State) -> None:
        """Declares `omega`, `tail` and `partial`."""
        state.add_token_buffer("omega", self.channels)
        state.add_token_buffer("tail", self.hop)
        state.add_token_buffer("partial", self.hop)

    def read(self, state: State) -> Tensor:
        """(B, H, 17, S) averaged magnitudes."""
        return state.token("omega")

    def observe(self, state: State, tile: Tile) -> None:
        """Folds whole hops into the average at once and keeps what remains for later."""
        assert tile.rows is not None
        rows = tile.rows
        length, reach = rows.shape[2], rows.shape[3]
        done = 0
        while done < length:
            phase = (tile.first + done) % self.hop
            whole = (length - done) // self.hop
            if phase == 0 and whole:
                self._fold(state, rows[:, :, done : done + whole * self.hop].float())
                done += whole * self.hop
                continue
            count = min(self.hop - phase, length - done)
            partial = state.token("partial")
            place = partial[:, :, phase : phase + count]
            place[..., :reach] = rows[:, :, done : done + count]
            place[..., reach:] = 0  # newer tokens than these queries
            done += count
            if phase + count == self.hop:
                self._fold(state, partial)

    def _fold(self, state: State, rows: Tensor) -> None:
        """Takes in (B, H, n * hop, V) rows that start on a hop."""
        batch, heads, length, reach = rows.shape
        frames, hop = length // self.hop, self.hop
        tail, omega = state.token("tail")[..., :reach], state.token("omega")[..., :reach]
        signal = torch.cat([tail, rows], dim=2)  # (B, H, hop + n * hop, V)
        windows = signal.unfold(2, self.n_fft, hop)  # (B, H, n, V, n_fft), a view
        spectrum = self._transform(rows.device) @ windows.transpose(-1, -2)  # (B, H, n, 2 * bins, V)
        parts = spectrum.view(batch, heads, frames, 2, self.channels, reach)
        magnitude = torch.hypot(parts[:, :, :, 0], parts[:, :, :, 1])  # (B, H, n, bins, V)
        decay = self.ema_coefficient**hop
        weights = (1 - decay) * decay ** torch.arange(frames - 1, -1, -1, device=rows.device, dtype=torch.float32)
        omega.mul_(decay**frames).add_(torch.einsum("bhtfv,t->bhfv", magnitude, weights))
        tail.copy_(rows[:, :, -hop:])

    def _transform(self, device: torch.device) -> Tensor:
        if device not in self._on:
            self._on[device] = self._basis.to(device)
        return self._on[device]


def _windowed_basis(n_fft: int) -> Tensor:
    """(2 * bins, n_fft): the real and imaginary rows of the one-sided Fourier transform times a periodic Hann window."""
    sample = torch.arange(n_fft, dtype=torch.float64)
    frequency = torch.arange(n_fft // 2 + 1, dtype=torch.float64)[:, None]
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * sample / n_fft)
    angle = 2 * math.pi * frequency * sample / n_fft
    return torch.cat([angle.cos() * window, -angle.sin() * window]).float()
