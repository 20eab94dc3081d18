"""Models that turn pictures, videos or sound into tokens of a language model; only the language model's cache is pruned.

Qwen-VL, InternVL, SmolVLM, the LLaVA family, Gemma 3, Mistral 3 and kin: in the configuration of each, one part is what
`get_text_config` returns. Only that part's attention is switched; encoders keep their own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.adapters.language import LanguageAdapter
from namm_xmodal.policies.protocol import Rotary

_COUNTS_OTHERWISE = {"paligemma"}
"""Model types that count positions from 1, whatever the language model inside does alone."""


class VisionLanguageAdapter(LanguageAdapter):
    """Any model of transformers whose configuration has a text part that `LanguageAdapter` would take."""

    name = "vision_language"

    def missing(self, model: torch.nn.Module) -> str | None:
        """See `Adapter.missing`."""
        config: Any = getattr(model, "config", None)
        if config is None or not getattr(config, "sub_configs", None):
            return "is not a model of several parts"
        if getattr(config, "is_encoder_decoder", False):
            return "is not a decoder-only model"
        if config.get_text_config(decoder=True) is config:
            return "is not a model with a text part"
        if _text_part(config) is None or self._language_model(model) is None:
            return "has no text part that takes past_key_values"
        return self._missing_of(model, config.get_text_config(decoder=True))

    def decoder(self, model: torch.nn.Module) -> torch.nn.Module:
        """See `Adapter.decoder`: the stack of the language model inside."""
        found = self._language_model(model)
        assert found is not None
        return super().decoder(found)

    def attention_implementation(self, model: torch.nn.Module, name: str) -> dict[str, Any]:
        """See `Adapter.attention_implementation`: the language model's, and no other."""
        config: Any = model.config
        part = _text_part(config)
        assert part is not None
        return {**_implementations(config), part: name}

    def current_implementation(self, model: torch.nn.Module) -> dict[str, Any]:
        """See `Adapter.current_implementation`."""
        return _implementations(model.config)

    def forward(self, model: torch.nn.Module, inputs: Mapping[str, Any], cache: Any) -> Tensor:
        """See `Adapter.forward`; `stack_inputs` among the inputs go past the model to the language model inside."""
        own = dict(inputs)
        stack = own.pop("stack_inputs", None)
        if not stack:
            return super().forward(model, own, cache)

        def give(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return args, {**kwargs, **stack}

        handle = self.decoder(model).register_forward_pre_hook(give, with_kwargs=True)
        try:
            return super().forward(model, own, cache)
        finally:
            handle.remove()

    def rotary(self, model: torch.nn.Module) -> list[Rotary | None]:
        """See `Adapter.rotary`; None where positions do not simply count from 0."""
        config: Any = model.config
        tables = super().rotary(model)
        return [None] * len(tables) if config.model_type in _COUNTS_OTHERWISE else tables

    def token_kinds(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> list[list[str]]:
        """See `Adapter.token_kinds`: "text", "image", "video", "padding".

        Where inputs have the grid of each video (`video_grid_thw`, as the processors of Qwen-VL make it), its tokens
        are "frame f row r column c", counted from 0.
        """
        config: Any = model.config
        ids: Tensor = inputs["input_ids"]
        mask = inputs.get("attention_mask")
        real = torch.ones_like(ids) if mask is None else mask
        names = {_token_id(config, "video"): "video", _token_id(config, "image"): "image"}
        cells = iter(_cells(config, inputs.get("video_grid_thw")))
        rows = []
        for row, shown in zip(ids.tolist(), real.tolist(), strict=True):
            kinds = [names.get(token, "text") if seen else "padding" for token, seen in zip(row, shown, strict=True)]
            rows.append([next(cells, kind) if kind == "video" else kind for kind in kinds])
        return rows

    def _language_model(self, model: torch.nn.Module) -> torch.nn.Module | None:
        """The outermost module that is configured by the text part alone."""
        config: Any = model.config
        text = config.get_text_config(decoder=True)
        inside = (each for each in model.modules() if getattr(each, "config", None) is text)
        return next((each for each in inside if hasattr(each, "set_attn_implementation")), None)


def _text_part(config: Any) -> str | None:
    """The key under which the text part stands in a configuration of several parts."""
    text = config.get_text_config(decoder=True)
    return next((name for name in config.sub_configs if getattr(config, name, None) is text), None)


def _implementations(config: Any) -> dict[str, Any]:
    """The attention of a configuration and of its parts, as `set_attn_implementation` takes it."""
    parts = {name: getattr(config, name, None) for name in config.sub_configs}
    inside = {
        name: _implementations(part) if part.sub_configs else str(part._attn_implementation)
        for name, part in parts.items()
        if part is not None
    }
    return {"": str(config._attn_implementation), **inside}


def _token_id(config: Any, kind: str) -> int | None:
    """The placeholder of pictures or videos, under either of the names that configurations use."""
    found = getattr(config, f"{kind}_token_id", None)
    return getattr(config, f"{kind}_token_index", None) if found is None else found


def _cells(config: Any, grids: Tensor | None) -> list[str]:
    """What the video tokens of a batch show, in their order.

    Args:
        config: Of the model; patches are merged by its `spatial_merge_size`.
        grids: (videos, 3) frames, rows and columns of patches; None if the class tells nothing.
    """
    if grids is None:
        return []
    merged = int(getattr(config.vision_config, "spatial_merge_size", 1))
    return [
        f"frame {frame} row {row} column {column}"
        for frames, rows, columns in grids.tolist()
        for frame in range(frames)
        for row in range(rows // merged)
        for column in range(columns // merged)
    ]
