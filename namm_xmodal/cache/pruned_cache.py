"""The cache of a whole model: one `PrunedLayer` per attention layer."""

from transformers.cache_utils import Cache

from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.settings import Settings


class PrunedCache(Cache):  # type: ignore[misc]
    """A transformers cache whose layers evict by a policy; pass it as `past_key_values`.

    Attributes:
        once: Made for a call with `use_cache=False`, which does not continue with it.
    """

    layers: list[PrunedLayer]
    once = False

    def __init__(self, layers: list[PrunedLayer]) -> None:
        """A cache of layers that share their settings."""
        super().__init__(layers=layers)

    @property
    def settings(self) -> Settings:
        """How it is pruned."""
        return self.layers[0].settings
