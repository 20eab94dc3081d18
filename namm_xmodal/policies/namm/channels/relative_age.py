"""Age as a share of the tokens read, which is comparable between texts of any length."""

from torch import Tensor

from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.protocol import Observation


class RelativeAge(Channel):
    """The age of a token over the tokens seen: 0 for the newest, nearly 1 for the first.

    The age in front of every NAMM's channels is absolute, and ages beyond those of training are strange to it. Frozen
    statistics are the usual ones here because they are those of any model: without evictions, shares are spread evenly.
    """

    name = "relative_age"
    usual = "frozen"

    def read(self, observation: Observation) -> Tensor:
        """See `Channel.read`: (B, H, 1, S)."""
        seen = observation.seen
        return ((seen - 1 - observation.positions).clamp(0, seen - 1).float() / seen)[:, :, None]
