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
        """Folds whole hops into the average and keeps what remains for later."""
        assert tile.rows is not None
        rows = tile.rows.float()
        length, reach = rows.shape[2], rows.shape[3]
        omega, tail = state.token("omega")[..., :reach], state.token("tail")[..., :reach]
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
                    frame = torch.cat([tail, rows[:, :, : done + self.hop][:, :, -self.hop :]], dim=2)
                self._fold(omega, frame, scratch)
                tail_from = rows[:, :, done : done + self.hop]
            else:
                partial = state.token("partial")
                place = partial[:, :, phase : phase + count]
                place[..., :reach] = rows[:, :, done : done + count]
                place[..., reach:] = 0  # newer tokens than these queries
                tail_from = None
                if phase + count == self.hop:
                    whole = partial[..., :reach]
                    self._fold(omega, torch.cat([tail, whole], dim=2), scratch)
                    tail_from = whole
            done += count
            if tail_from is not None and (done + self.hop > length or done < 2 * self.hop):
                tail.copy_(tail_from)

    def _fold(self, omega: Tensor, frame: Tensor, scratch: Tensor) -> None:
        """Omega <- a * omega + (1 - a) * |DFT(hann * frame)|.

        Args:
            omega: (B, H, bins, V), changed in place.
            frame: (B, H, n_fft, V).
            scratch: Room for B * H * n_fft * V numbers.
        """
        batch, heads, _, reach = frame.shape
        flat, bins = batch * heads, self.channels
        basis = self._transform(frame.device).expand(flat, -1, -1)
        wave = scratch[: flat * self.n_fft * reach].view(flat, self.n_fft, reach)
        torch.bmm(basis, frame.flatten(0, 1)[:, 1:], out=wave)  # sample 0 weighs nothing in a Hann window
        power, sine = wave[:, :bins], wave[:, bins:]
        power.mul_(power)
        power[:, 1:-1].addcmul_(sine, sine)  # the first and last bin have no imaginary part
        magnitude = power.pow_(0.5).view(batch, heads, bins, reach)
        omega.lerp_(magnitude, 1 - self.ema_coefficient**self.hop)

    def _transform(self, device: torch.device) -> Tensor:
        if device not in self._on:
            self._on[device] = self._basis.to(device)
        return self._on[device]


def _windowed_basis(n_fft: int) -> Tensor:
    """(n_fft, n_fft - 1): cosines of all n_fft / 2 + 1 bins, then sines of the inner ones, times a periodic Hann window.

    Columns are samples 1 to n_fft - 1: the window is zero at sample 0.
    """
    sample = torch.arange(1, n_fft, dtype=torch.float64)
    frequency = torch.arange(n_fft // 2 + 1, dtype=torch.float64)[:, None]
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * sample / n_fft)
    angle = 2 * math.pi * frequency * sample / n_fft
    return torch.cat([angle.cos() * window, angle[1:-1].sin() * window]).float()
