"""Features without a spectrum, to find out what the spectrum is good for: averaged attention, and a learned projection."""

import torch
from torch import Tensor

from namm_xmodal.policies.namm.hops import HopFeatures


class MeanAttentionFeatures(HopFeatures):
    """One number per token: the attention that it receives, averaged over queries and then over time."""

    name = "mean_attention"
    channels = 1

    def fold(self, omega: Tensor, frame: Tensor, scratch: Tensor) -> None:
        """Omega <- a * omega + (1 - a) * mean of the newest hop; see `HopFeatures.fold`."""
        mean = frame[:, :, self.hop :].mean(2, keepdim=True)  # (B, H, n_fft, V) -> (B, H, 1, V)
        omega.lerp_(mean, 1 - self.ema_coefficient**self.hop)


class ProjectionFeatures(HopFeatures):
    """As many numbers as the spectrogram has, but linear ones that are evolved with the scorer.

    A projection W (n_fft, outputs) of each frame, averaged over time, is the projection of the averaged frame, so the state
    holds the averaged frame (32 numbers) and W is applied when scores are asked for. Its row-major entries follow the
    scorer's parameters in the flat vector.
    """

    name = "projection"

    def __init__(self, n_fft: int = 32, hop: int = 16, ema_coefficient: float = 0.99) -> None:
        """See `HopFeatures`."""
        super().__init__(n_fft, hop, ema_coefficient)
        self.channels = n_fft

    @property
    def outputs(self) -> int:
        """17 for frames of 32, as the spectrogram."""
        return self.n_fft // 2 + 1

    @property
    def num_parameters(self) -> int:
        """544 for frames of 32."""
        return self.channels * self.outputs

    def project(self, standardised: Tensor, parameters: Tensor) -> Tensor:
        """(B, H, 32, S) -> (B, H, 17, S); see `HopFeatures.project`."""
        weight = parameters.reshape(*parameters.shape[:-1], self.channels, self.outputs)  # (B, H, N) -> (B, H, 32, 17)
        return weight.transpose(-1, -2) @ standardised

    def fold(self, omega: Tensor, frame: Tensor, scratch: Tensor) -> None:
        """Omega <- a * omega + (1 - a) * frame; see `HopFeatures.fold`."""
        torch.lerp(omega, frame, 1 - self.ema_coefficient**self.hop, out=omega)
