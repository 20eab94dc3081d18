"""Averaged attention, as an ablation of the spectrum."""

from torch import Tensor

from namm_xmodal.policies.namm.channels.hops import HopChannel


class MeanAttention(HopChannel):
    """The attention that a token receives, averaged over queries and then over time."""

    name = "mean_attention"
    raw = 1

    def fold(self, omega: Tensor, frame: Tensor, scratch: Tensor) -> None:
        """Omega <- a * omega + (1 - a) * mean of the newest hop; see `HopChannel.fold`."""
        mean = frame[:, :, self.hop :].mean(2, keepdim=True)  # (B, H, n_fft, V) -> (B, H, 1, V)
        omega.lerp_(mean, 1 - self.ema_coefficient**self.hop)
