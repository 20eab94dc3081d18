"""As many numbers as the spectrogram, but from a linear projection that is evolved with the scorer."""

import torch
from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Standardise
from namm_xmodal.policies.namm.channels.hops import HopChannel


class Projection(HopChannel):
    """A learned projection of the last 32 attention values, averaged over time.

    A projection W (n_fft, outputs) of each frame, averaged over time, is the projection of the averaged frame, so the
    state holds the averaged frame (32 numbers) and W is applied when scores are asked for. Its row-major entries follow
    the scorer's parameters in the flat vector.
    """

    name = "projection"

    def __init__(
        self, n_fft: int = 32, hop: int = 16, ema_coefficient: float = 0.99, *, standardise: Standardise | None = None
    ) -> None:
        """See `HopChannel`."""
        super().__init__(n_fft, hop, ema_coefficient, standardise=standardise)
        self.raw = n_fft

    @property
    def outputs(self) -> int:
        """17 for frames of 32, as the spectrogram."""
        return self.n_fft // 2 + 1

    @property
    def num_parameters(self) -> int:
        """544 for frames of 32."""
        return self.raw * self.outputs

    def project(self, standardised: Tensor, parameters: Tensor) -> Tensor:
        """(B, H, 32, S) -> (B, H, 17, S); see `Channel.project`."""
        weight = parameters.reshape(*parameters.shape[:-1], self.raw, self.outputs)  # (B, H, N) -> (B, H, 32, 17)
        return weight.transpose(-1, -2) @ standardised

    def fold(self, omega: Tensor, frame: Tensor, scratch: Tensor) -> None:
        """Omega <- a * omega + (1 - a) * frame; see `HopChannel.fold`."""
        torch.lerp(omega, frame, 1 - self.ema_coefficient**self.hop, out=omega)
