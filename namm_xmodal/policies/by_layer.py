"""One policy for each layer of a model: the same kind, with other numbers, such as feature statistics of its own."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.protocol import Observation, Policy
from namm_xmodal.policies.state import State
from namm_xmodal.policies.wrapper import Wrapper
from namm_xmodal.types import LayerShape


@dataclass(frozen=True)
class ByLayer(Wrapper):
    """Scores each layer by its own policy; everything else is the first one's business.

    Attributes:
        base: The first layer's, with which the others must share everything but how they score.
        others: Of the second layer and so on.
    """

    others: tuple[Policy, ...] = ()

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares buffers; refuses a model of another number of layers.

        Raises:
            ConfigError: With both numbers.
        """
        if shape.num_layers != 1 + len(self.others):
            raise ConfigError(
                f"{1 + len(self.others)} policies by layer, but this model has {shape.num_layers} layers; expected one "
                "policy per layer"
            )
        self.base.start(state, shape)

    def score(self, observation: Observation) -> Tensor:
        """(B, H, S): scores of the layer's own policy."""
        return (self.base, *self.others)[observation.shape.layer].score(observation)
