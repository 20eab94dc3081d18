"""The cache of a whole model: one `PrunedLayer` per attention layer."""

from typing import Any

from transformers.cache_utils import Cache

from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.settings import Settings
from namm_xmodal.policies.protocol import ChoosesForLater


class PrunedCache(Cache):  # type: ignore[misc]
    """A transformers cache whose layers evict by a policy; pass it as `past_key_values`.

    Attributes:
        layers: One for each layer of the model; in hybrid models, some keep a state instead of keys and values.
        once: Made for a call with `use_cache=False`, which does not continue with it.
    """

    layers: list[Any]
    once = False

    def __init__(self, layers: list[Any]) -> None:
        """A cache of layers that share their settings."""
        super().__init__(layers=layers)
        pruned = self.pruned
        policy = self.settings.policy if pruned else None
        if isinstance(policy, ChoosesForLater):
            for layer in pruned[policy.chooser + 1 :]:
                layer.chooser = pruned[policy.chooser]

    @property
    def pruned(self) -> list[PrunedLayer]:
        """The layers that attend, in their order."""
        return [layer for layer in self.layers if isinstance(layer, PrunedLayer)]

    @property
    def settings(self) -> Settings:
        """How it is pruned."""
        return self.pruned[0].settings
