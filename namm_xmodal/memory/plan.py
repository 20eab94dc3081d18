"""What each layer of a model stores between calls, taken from the cache that transformers itself would make."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import CacheLayerMixin, DummyLayer, LinearAttentionCacheLayerMixin

from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.cache.settings import Settings
from namm_xmodal.cache.state_layer import PrunedStateLayer, StateLayer
from namm_xmodal.policies.protocol import Rotary


@dataclass(frozen=True)
class LayerPlan:
    """One layer.

    Attributes:
        attends: It keeps keys and values.
        states: Recurrent or convolution states it keeps.
        window: Tokens that transformers' own cache keeps of it, None for all.
        readers: Later layers that attend to its keys and values instead of their own.
    """

    attends: bool
    states: int = 0
    window: int | None = None
    readers: int = 0


def plan_layers(config: Any, attending: int) -> list[LayerPlan]:
    """The layers of a model.

    Args:
        config: Of its decoder.
        attending: Layers that attend, as its adapter counts them.
    """
    layers = DynamicCache(config=config).layers
    plans = [
        LayerPlan(
            isinstance(layer, CacheLayerMixin),
            layer.number_of_states if isinstance(layer, LinearAttentionCacheLayerMixin) else 0,
            int(layer.sliding_window) if getattr(layer, "is_sliding", False) else None,
            readers,
        )
        for layer, readers in zip(layers, _readers(config, len(layers)), strict=True)
    ]
    if all(plan.attends and not plan.states for plan in plans):  # the adapter has the word
        return [plans[i] if i < len(plans) else LayerPlan(True) for i in range(attending)]
    return plans


def _readers(config: Any, layers: int) -> list[int]:
    """How many later layers read each layer: those that reuse keys read the last layer of their kind that does not."""
    text = config.get_text_config(decoder=True)
    modes = getattr(text, "kv_sharing_modes", None)
    if modes is None:
        return [0] * layers
    reusing = [kind for kind, mode in zip(text.layer_types, modes, strict=True) if mode == "reuse"]
    return [reusing.count(kind) if mode == "store" else 0 for kind, mode in zip(text.layer_types, modes, strict=True)]


def empty_cache(plans: Sequence[LayerPlan], settings: Settings, rotary: Sequence[Rotary | None]) -> PrunedCache:
    """A cache that has seen nothing.

    Args:
        plans: Of every layer.
        settings: How to prune.
        rotary: The rotary embedding of each layer that attends.
    """
    layers: list[Any] = []
    tables = iter(enumerate(rotary))
    for plan in plans:
        if not plan.attends:
            layers.append(StateLayer(plan.states) if plan.states else DummyLayer())
            continue
        number, table = next(tables)
        if plan.states:
            layers.append(PrunedStateLayer(settings, number, len(rotary), table, plan.window, plan.states))
        else:
            layers.append(PrunedLayer(settings, number, len(rotary), table, plan.window, plan.readers))
    return PrunedCache(layers)
