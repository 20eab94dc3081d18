"""The published features: a short-time spectrum of received attention, averaged over time (docs/algorithm.md).

For each token the attention it receives, query after query, is a signal. Every 16 queries, the last 32 values are windowed
(Hann) and Fourier transformed; the 17 magnitudes |X_t| enter an exponential average:

    omega <- a * omega + (1 - a) * |X_t|,        a = ema_coefficient ** hop

This streaming form equals the published batch form (difference 2e-8) and needs 17 averages and the last 16 attention rows
per token and head, instead of all rows between two updates.
"""

import math

import torch
from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Standardise
from namm_xmodal.policies.namm.channels.hops import HopChannel


class Spectrogram(HopChannel):
    """Averaged magnitudes of the attention spectrum."""

    name = "spectrogram"

    def __init__(
        self, n_fft: int = 32, hop: int = 16, ema_coefficient: float = 0.99, *, standardise: Standardise | None = None
    ) -> None:
        """See `HopChannel`."""
        super().__init__(n_fft, hop, ema_coefficient, standardise=standardise)
        self.raw = n_fft // 2 + 1
        self._basis = _windowed_basis(n_fft)
        self._on: dict[torch.device, Tensor] = {}

    def fold(self, omega: Tensor, frame: Tensor, scratch: Tensor) -> None:
        """Omega <- a * omega + (1 - a) * |DFT(hann * frame)|; see `HopChannel.fold`."""
        batch, heads, _, reach = frame.shape
        flat, bins = batch * heads, self.raw
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
