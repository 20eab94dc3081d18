"""The base class of channels: a channel is one kind of feature of every cached token."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.protocol import Observation, Reads, Tile
from namm_xmodal.policies.state import State

Standardise = Literal["frozen", "context"]
"""By statistics that are saved with the policy, or over the live tokens of a head at every update."""


class Channel(ABC):
    """One kind of number per token.

    It holds hyper-parameters only, each with a default; its memory of a text is `State`.

    What is remembered must not depend on evolved parameters: the members of a population share a state, and gradients
    and traces take it as given. What is evolved enters in `project`.

    Attributes:
        name: Name in configurations and saved policies; buffers in the state begin with it.
        usual: How it is standardised unless told otherwise.
        reads: What the engine has to collect for it.
        hop: Tokens between updates must be a multiple of it.
        raw: Numbers per token that are standardised.
        standardise: `frozen` or `context`.
    """

    name: ClassVar[str]
    usual: ClassVar[Standardise] = "context"
    reads: Reads = Reads()
    hop: int = 1
    raw: int = 1

    def __init__(self, *, standardise: Standardise | None = None) -> None:
        """Makes the channel.

        Args:
            standardise: `frozen` or `context`; as usual for this channel if None.

        Raises:
            ConfigError: If it is neither.
        """
        if standardise is not None and standardise not in get_args(Standardise):
            raise ConfigError(f"standardise={standardise!r}: expected frozen or context; {self.usual} if left out")
        self.standardise: Standardise = standardise or self.usual

    @property
    def outputs(self) -> int:
        """Numbers per token that the scorer gets: those that are standardised, unless `project` makes others of them."""
        return self.raw

    @property
    def num_parameters(self) -> int:
        """Number of evolved parameters of the channel, 0 for most."""
        return 0

    def start(self, state: State) -> None:  # noqa: B027
        """Declares buffers; none for a channel that remembers nothing."""

    def observe(self, state: State, tile: Tile) -> None:  # noqa: B027
        """Takes a tile of attention rows in; tiles of any sizes leave the same state."""

    @abstractmethod
    def read(self, observation: Observation) -> Tensor:
        """(B, H, raw, S) numbers, not standardised. Those of dead slots are finite, and no others depend on them."""

    def project(self, standardised: Tensor, parameters: Tensor) -> Tensor:
        """What the scorer gets.

        Args:
            standardised: (B, H, raw, S).
            parameters: (B or 1, H or 1, num_parameters).

        Returns:
            (B, H, outputs, S).
        """
        return standardised

    def config(self) -> dict[str, Any]:
        """Hyper-parameters for saving, but for `standardise`."""
        return {}
