"""The cache of a whole model: one `PrunedLayer` per attention layer."""

from collections.abc import Sequence
from typing import Any

from transformers.cache_utils import Cache

from namm_xmodal.cache.layer import PrunedLayer, Settings
from namm_xmodal.errors import UnsupportedOperationError
from namm_xmodal.policies.protocol import Rotary


class PrunedCache(Cache):  # type: ignore[misc]
    """A transformers cache whose layers forget by a policy; pass it as `past_key_values`."""

    layers: list[PrunedLayer]

    def __init__(self, settings: Settings, num_layers: int, rotary: Sequence[Rotary | None] | None = None) -> None:
        """Makes `num_layers` empty layers.

        Args:
            settings: How to prune.
            num_layers: Attention layers of the model.
            rotary: The rotary embedding of each layer, for policies that turn queries (None for models without).
        """
        tables = list(rotary) if rotary is not None else [None] * num_layers
        super().__init__(layers=[PrunedLayer(settings, i, num_layers, tables[i]) for i in range(num_layers)])
        self.settings = settings

    def crop(self, *args: Any, **kwargs: Any) -> None:
        """Refused.

        Raises:
            UnsupportedOperationError: Always; evicted tokens cannot come back.
        """
        raise UnsupportedOperationError(
            "crop: a pruned cache cannot be rolled back (evicted tokens are gone); "
            "use generate without assisted or prompt-lookup decoding"
        )
