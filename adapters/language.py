"""Decoder-only language models of transformers: Llama, Mistral, Qwen, Phi, Gemma, GPT-2, GPT-NeoX, OPT, OLMo and kin."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.adapters.rotary import find_rotary
from namm_xmodal.policies.protocol import Rotary

_REFUSED: dict[str, str] = {
    "diffllama": "combines values of different heads after caching them",
    "doge": "computes on its attention mask, which has to follow evicted tokens",
    "musicgen_decoder": "reads several codebooks at once, a row for each",
    "musicgen_melody_decoder": "reads several codebooks at once, a row for each",
    "diffusion_gemma": "writes blocks by diffusion instead of token by token",
    "inkling_text": "adds a bias of its own to attention",
    "inkling2_text": "adds a bias of its own to attention",
    "minimax": "only takes its own kind of cache",
    "git": "computes on its attention mask, which has to follow evicted tokens",
}
"""Model types that cannot be pruned for a reason that only shows while they run, with the reason."""
_ATTENDING = {"full_attention", "sliding_attention", "chunked_attention", "hybrid", "hybrid_sliding"}
_STATES = {"linear_attention", "conv", "mlp", "moe"}
"""Kinds of layers without keys and values: what they keep, if anything, does not grow."""


class LanguageAdapter:
    """Any causal language model whose attention goes through transformers' attention interface."""

    name = "language"

    def missing(self, model: torch.nn.Module) -> str | None:
        """See `Adapter.missing`."""
        config = getattr(model, "config", None)
        if config is None or not hasattr(model, "set_attn_implementation"):
            return "is not a transformers model (no config or set_attn_implementation)"
        if getattr(config, "is_encoder_decoder", False):
            return "is an encoder-decoder; only the cache of decoder-only models can be pruned"
        text = config.get_text_config(decoder=True)
        if text is not config:
            return f"is not a single language model but has several parts ({', '.join(config.sub_configs)})"
        return self._missing_of(model, text)

    def _missing_of(self, model: torch.nn.Module, text: Any) -> str | None:
        """What the language model of `model` lacks, which `text` configures."""
        tuned = str(getattr(getattr(model, "active_peft_config", None), "peft_type", ""))
        if "PREFIX_TUNING" in tuned or "CARTRIDGE" in tuned:
            return "adds keys and values that no policy has seen (PEFT prefix tuning)"
        config: Any = model.config
        for kind in (config.model_type, text.model_type):
            if kind in _REFUSED:
                return _REFUSED[kind]
        kinds = set(_layer_types(text))
        other = sorted(kinds - _ATTENDING - _STATES)
        if other:
            return f"has layers that keep more than keys and values ({', '.join(other)})"
        if kinds and not kinds & _ATTENDING:
            return f"has no attention layer ({', '.join(sorted(kinds))} only), so there is no growing cache to prune"
        if getattr(text, "cross_attention_layers", None):
            return "has layers that attend to an encoder (cross_attention_layers)"
        if not getattr(text, "num_hidden_layers", 0):
            return "has no num_hidden_layers in its config"
        decoder = self.decoder(model)
        if "past_key_values" not in signature(decoder.forward).parameters:
            return "takes no past_key_values, so it has no key-value cache to prune (it may be an encoder)"
        if any(map(_is_an_encoders, decoder.modules())):
            return "attends in both directions, as encoders do (is_decoder is false in its config)"
        others = {type(each).__name__ for each in list(decoder.modules())[1:] if _is_apart(each, text)}
        if others:
            return f"contains other models inside its decoder ({', '.join(sorted(others))})"
        can_switch: Any = getattr(decoder, "_can_set_attn_implementation", None)
        if can_switch is not None and not can_switch():
            return "does not use transformers' attention interface"
        return None

    def decoder(self, model: torch.nn.Module) -> torch.nn.Module:
        """See `Adapter.decoder`."""
        whole: Any = model
        found = whole.get_decoder() if hasattr(model, "get_decoder") else model
        if "past_key_values" not in signature(found.forward).parameters:  # a head that is called decoder, for example
            found = getattr(model, "base_model", model)
        decoder: torch.nn.Module = found
        return decoder

    def attention_implementation(self, model: torch.nn.Module, name: str) -> str | dict[str, str]:
        """See `Adapter.attention_implementation`."""
        return name

    def current_implementation(self, model: torch.nn.Module) -> str | dict[str, str]:
        """See `Adapter.current_implementation`."""
        config: Any = model.config
        return str(config._attn_implementation)

    def num_layers(self, model: torch.nn.Module) -> int:
        """See `Adapter.num_layers`."""
        return sum(self._attends(model))

    def rotary(self, model: torch.nn.Module) -> list[Rotary | None]:
        """See `Adapter.rotary`."""
        attends = self._attends(model)
        tables = find_rotary(self.decoder(model), len(attends))
        return [table for table, attending in zip(tables, attends, strict=True) if attending]

    def _attends(self, model: torch.nn.Module) -> list[bool]:
        """Which layers keep keys and values; others keep a state or nothing, or attend to those of an earlier layer."""
        config: Any = model.config
        text = config.get_text_config(decoder=True)
        kinds = _layer_types(text)
        modes = getattr(text, "kv_sharing_modes", None) or [None] * len(kinds)
        return [kind in _ATTENDING and mode != "reuse" for kind, mode in zip(kinds, modes, strict=True)]

    def forward(self, model: torch.nn.Module, inputs: Mapping[str, Any], cache: Any) -> Tensor:
        """See `Adapter.forward`; `inputs` has `input_ids` (B, Q) and what else the model takes. Returns logits."""
        output: Tensor = model(**inputs, past_key_values=cache, use_cache=True).logits
        return output

    def token_kinds(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> list[list[str]]:
        """See `Adapter.token_kinds`: "text", or "padding" where the attention mask is 0."""
        mask = inputs.get("attention_mask")
        rows: list[list[int]] = (torch.ones_like(inputs["input_ids"]) if mask is None else mask).tolist()
        return [["text" if real else "padding" for real in row] for row in rows]


def _layer_types(text: Any) -> list[str]:
    """The kind of each layer of a decoder."""
    return list(getattr(text, "layer_types", None) or ["full_attention"] * int(getattr(text, "num_hidden_layers", 0)))


def _is_apart(module: torch.nn.Module, text: Any) -> bool:
    """Whether a part of the decoder would be switched beside it."""
    return hasattr(module, "set_attn_implementation") and getattr(module, "config", text) is not text


def _is_an_encoders(module: Any) -> bool:
    """Whether a module is attention that could be a decoder's, but looks both ways, as in BERT."""
    return getattr(module, "is_decoder", True) is False and getattr(module, "is_causal", True) is False
