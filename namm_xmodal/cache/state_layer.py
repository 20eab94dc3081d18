"""Layers of hybrid models that keep a recurrent or convolution state, alone or beside the keys and values of attention.

A state does not grow with the text, so there is nothing to prune in it: it is transformers' own.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from transformers.cache_utils import LinearAttentionLayer

from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.settings import Settings
from namm_xmodal.policies.protocol import Rotary


class StateLayer(LinearAttentionLayer):  # type: ignore[misc]
    """A state without attention, as in Qwen3-Next, Jamba and LFM2; follows its batch rows like a pruned layer."""

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps some batch rows."""
        self._map_states(lambda x: x[indices.to(x.device)])

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats every batch row."""
        self._map_states(lambda x: x.repeat_interleave(repeats, dim=0))

    @property
    def recurrent_bytes(self) -> int:
        """Bytes allocated for recurrent and convolution states."""
        held = (*self.conv_states.values(), *self.recurrent_states.values())
        return sum(states.numel() * states.element_size() for states in held if states is not None)

    def _map_states(self, change: Callable[[Tensor], Tensor]) -> None:
        for states in (self.conv_states, self.recurrent_states):
            states.update({key: change(held) for key, held in states.items() if held is not None})


class PrunedStateLayer(StateLayer, PrunedLayer):
    """Attention and a state in one layer, as in Falcon-H1; its keys and values are pruned."""

    is_compileable = False
    is_croppable = False

    def __init__(
        self, settings: Settings, layer: int, num_layers: int, rotary: Rotary | None, window: int | None, states: int
    ) -> None:
        """Makes an empty layer; see `PrunedLayer`.

        Args:
            settings: How to prune.
            layer: Its index among the layers that attend.
            num_layers: Layers that attend.
            rotary: Its rotary embedding.
            window: Tokens that transformers' own cache would keep of this layer, None for all.
            states: How many states it has.
        """
        LinearAttentionLayer.__init__(self, states)
        PrunedLayer.__init__(self, settings, layer, num_layers, rotary, window)

    def lazy_initialization(self, *args: Tensor, **kwargs: Any) -> None:
        """Keys and values come by place, states by name."""
        (PrunedLayer if args else StateLayer).lazy_initialization(self, *args, **kwargs)

    def crop(self, *args: Any, **kwargs: Any) -> None:
        """Refused."""
        PrunedLayer.crop(self)

    def offload(self) -> None:
        """Refused."""
        PrunedLayer.offload(self)

    def reset(self) -> None:
        """Forgets everything."""
        StateLayer.reset(self)
        PrunedLayer.reset(self)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Lets every beam go on from the state and the cache of the beam it descends from."""
        StateLayer.reorder_cache(self, beam_idx)
        PrunedLayer.reorder_cache(self, beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps some batch rows."""
        StateLayer.batch_select_indices(self, indices)
        PrunedLayer.batch_select_indices(self, indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeats every batch row."""
        StateLayer.batch_repeat_interleave(self, repeats)
        PrunedLayer.batch_repeat_interleave(self, repeats)

    def get_max_length(self) -> int:
        """No maximum."""
        return -1
