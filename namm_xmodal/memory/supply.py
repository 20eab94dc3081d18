"""Every forward inside a block goes through a pruned cache: `model(...)`, `model.generate(...)`, pipelines."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.cache.mask import ATTENTION_NAME
from namm_xmodal.cache.pending import PENDING, forget, not_attended
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.cache.switch import Switch
from namm_xmodal.errors import UnsupportedOperationError


class CacheSupply:
    """Hooks on the module that takes a model's cache; `Adapter.decoder` names it."""

    def __init__(self, decoder: torch.nn.Module, switch: Switch, new_cache: Callable[[bool], PrunedCache]) -> None:
        """Registers the hooks.

        Args:
            decoder: The module.
            switch: Of the model.
            new_cache: Called for a cache of the block in which a forward runs, with whether it is for that forward
                only.
        """
        names = list(signature(decoder.forward).parameters)
        self._place = names.index("past_key_values") if "past_key_values" in names else None
        self._switch, self._new_cache = switch, new_cache
        self._hooks = (
            decoder.register_forward_pre_hook(self._before, with_kwargs=True),
            decoder.register_forward_hook(self._after, with_kwargs=True),
        )

    def remove(self) -> None:
        """Takes the hooks off."""
        for hook in self._hooks:
            hook.remove()

    def _before(self, decoder: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Supplies a cache, makes an empty one of transformers' a pruned one, or checks the pruned one that is there."""
        forget()  # a forward that failed may have left a layer behind
        config: Any = decoder.config
        if config._attn_implementation != ATTENTION_NAME:
            return None  # somebody switched to another attention, such as the oracle's
        if self._place is None:
            raise UnsupportedOperationError(
                f"{type(decoder).__name__}(...) takes no cache, so a plain call cannot be pruned; use "
                "memory.adapter.forward(model, inputs, memory.cache()), or call the model outside the block"
            )
        if kwargs.get("encoder_hidden_states") is not None:
            raise UnsupportedOperationError(
                "encoder_hidden_states: attention to an encoder cannot be pruned; leave it out"
            )
        positional = len(args) > self._place
        given = args[self._place] if positional else kwargs.get("past_key_values")
        once = kwargs.get("use_cache") is False
        if given is None or (once and getattr(given, "once", False)):
            given = self._new_cache(once)
            kwargs = {**kwargs, "use_cache": True}  # some decoders drop the cache otherwise
            if positional:
                args = (*args[: self._place], given, *args[self._place + 1 :])
            else:
                kwargs["past_key_values"] = given
        layers = pruned_layers(given)
        if layers is None:
            _refuse_filled(given)
            cache = self._new_cache(False)
            given.layers, layers = cache.layers, cache.pruned  # the caller continues with the object it holds
        self._check(layers, args, kwargs)
        layers[0].midway = True
        return args, kwargs

    def _after(self, decoder: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Notes that a forward came to its end; notices a last layer whose keys another attention read."""
        layer = PENDING.get()
        if layer is not None:
            PENDING.set(None)
            raise not_attended(layer)
        if self._place is not None:
            layers = pruned_layers(args[self._place] if len(args) > self._place else kwargs.get("past_key_values"))
            if layers is not None:
                layers[0].midway = False

    def _check(self, layers: list[PrunedLayer], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuses a cache that does not fit the model or what it is given to read."""
        first = layers[0]
        if first.settings.switch is not self._switch:
            raise UnsupportedOperationError("past_key_values: the cache was made for another model; use memory.cache()")
        if first.midway:
            raise UnsupportedOperationError(
                "past_key_values: layers have different lengths after a failed forward; read the text into a new cache"
            )
        given = (kwargs.get("input_ids"), kwargs.get("inputs_embeds"), *args)
        tokens = next((each for each in given if isinstance(each, Tensor)), None)
        if tokens is None:
            return  # the model itself says what it lacks
        rows, count = tokens.shape[:2]
        mask, positions = kwargs.get("attention_mask"), kwargs.get("position_ids")
        if isinstance(mask, Tensor) and mask.dim() == 2 and mask.shape[1] < first.seen + count:
            raise UnsupportedOperationError(
                f"attention_mask of {mask.shape[1]} columns: expected one for each of the {first.seen} tokens that the "
                f"cache has seen and the {count} new ones"
            )
        if first.keys is None:
            return
        if kwargs.get("use_cache") is False:
            raise UnsupportedOperationError(
                f"use_cache=False with a cache of {first.seen} tokens: generate would feed all of them again; set "
                "use_cache=True in the call (or in the model's generation_config and config)"
            )
        if rows != first.keys.shape[0]:
            raise UnsupportedOperationError(
                f"{rows} rows with a cache of {first.keys.shape[0]}: expected the same batch"
            )
        if count == 0 or _start_over(positions, first.tokens_seen):
            raise not_longer(first.seen)


def pruned_layers(cache: Any) -> list[PrunedLayer] | None:
    """The layers of a pruned cache that attend; None of any other cache."""
    return [each for each in getattr(cache, "layers", ()) if isinstance(each, PrunedLayer)] or None


def not_longer(seen: int) -> UnsupportedOperationError:
    """The error for a second turn that is not the whole conversation."""
    return UnsupportedOperationError(
        f"the cache has seen {seen} tokens and there are no new ones; input_ids must be the whole conversation, "
        "earlier turns and answers included, followed by new tokens"
    )


def _start_over(positions: Any, seen: tuple[int, ...]) -> bool:
    """Whether the newest token of some row stands before the end of what the row has seen, (B or 1, Q) positions."""
    if not isinstance(positions, Tensor) or positions.dim() != 2:
        return False
    if positions.shape[1] == 1 and positions.device.type != "cpu":
        return False  # reading positions back would stall the device at every token
    newest = positions[:, -1].expand(len(seen)).tolist()
    return any(at < count for at, count in zip(newest, seen, strict=True))


def _refuse_filled(cache: Any) -> None:
    """Refuses any other cache than an empty one that grows."""
    kind = type(cache).__name__
    if not isinstance(cache, DynamicCache) or cache.offloading:
        raise UnsupportedOperationError(
            f"past_key_values={kind}: cannot be pruned; use memory.cache(), or leave it out (and cache_implementation)"
        )
    if cache.get_seq_length():
        raise UnsupportedOperationError(
            f"past_key_values={kind} of {cache.get_seq_length()} tokens: these were read without pruning (before the "
            "block, or as a tuned prefix); read them inside the block"
        )
