"""When attention rises and when it falls: rectified temporal convolutions of received attention."""

from itertools import takewhile

import torch
from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Standardise
from namm_xmodal.policies.namm.channels.hops import HopChannel

_SCALES = (1, 2, 4, 8)


class Convolution(HopChannel):
    """Mean attention, and at scales of 1, 2, 4 and 8 queries how much it rises and how much it falls.

    At every query, the mean of the last `s` values minus the mean of the `s` before is rectified, once as it is and once
    negated; both are averaged over time as the spectrogram is. Unlike a spectrum, this tells a token that gains attention
    from one that loses it. A linear kernel would add nothing to `projection`, hence the rectifier.

    The kernels are fixed: averages of what evolved kernels let through would depend on the parameters, but the members of
    a population share them. What is evolved is what the scorer makes of the nine numbers.
    """

    name = "convolution"

    def __init__(
        self, n_fft: int = 32, hop: int = 16, ema_coefficient: float = 0.99, *, standardise: Standardise | None = None
    ) -> None:
        """See `HopChannel`; kernels are as long as a hop at most."""
        super().__init__(n_fft, hop, ema_coefficient, standardise=standardise)
        self.scales = tuple(takewhile(lambda scale: 2 * scale <= hop, _SCALES))
        self.raw = 1 + 2 * len(self.scales)
        self._kernels = _differences(self.scales, hop)
        self._on: dict[torch.device, Tensor] = {}

    def fold(self, omega: Tensor, frame: Tensor, scratch: Tensor) -> None:
        """Takes in means and rectified differences of the newest hop; see `HopChannel.fold`."""
        new = frame[:, :, self.hop :]
        change = (self._on_device(frame.device) @ frame).unflatten(2, (-1, self.hop))  # (B, H, scales, hop, V)
        rise, fall = change.clamp(min=0).mean(3), (-change).clamp(min=0).mean(3)
        omega.lerp_(torch.cat([new.mean(2, keepdim=True), rise, fall], dim=2), 1 - self.ema_coefficient**self.hop)

    def _on_device(self, device: torch.device) -> Tensor:
        if device not in self._on:
            self._on[device] = self._kernels.to(device)
        return self._on[device]


def _differences(scales: tuple[int, ...], hop: int) -> Tensor:
    """(scales * hop, 2 * hop): for each scale and each query of the newer hop, what each value of a frame weighs."""
    kernels = torch.zeros(len(scales), hop, 2 * hop)
    for row, scale in zip(kernels, scales, strict=True):
        for query in range(hop):
            end = hop + query + 1
            row[query, end - scale : end] = 1 / scale
            row[query, end - 2 * scale : end - scale] = -1 / scale
    return kernels.flatten(0, 1)
