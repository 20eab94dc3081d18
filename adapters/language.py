"""Decoder-only language models of transformers: Llama, Mistral, Qwen, Phi, Gemma, GPT-2, GPT-NeoX, OPT, OLMo and kin."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.adapters.rotary import find_rotary
from namm_xmodal.policies.protocol import Rotary

_CACHED_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}


class LanguageAdapter:
    """Any causal language model whose attention goes through transformers' attention interface."""

    name = "language"

    def missing(self, model: torch.nn.Module) -> str | None:
        """See `Adapter.missing`."""
        config = getattr(model, "config", None)
        if config is None or not hasattr(model, "set_attn_implementation"):
            return "is not a transformers model (no config or set_attn_implementation)"
        if getattr(config, "is_encoder_decoder", False):
            return "is an encoder-decoder: only decoder-only models keep the cache that is pruned here"
        text = config.get_text_config(decoder=True)
        if text is not config:
            return f"has several parts ({', '.join(config.sub_configs)}): it needs an adapter of its own"
        tuned = str(getattr(getattr(model, "active_peft_config", None), "peft_type", ""))
        if "PREFIX_TUNING" in tuned or "CARTRIDGE" in tuned:
            return "brings keys and values of its own (PEFT prefix tuning), which no policy has seen"
        other = sorted(set(getattr(text, "layer_types", None) or []) - _CACHED_LAYERS)
        if other:
            return f"has layers without a key-value cache ({', '.join(other)})"
        if getattr(text, "num_kv_shared_layers", 0):
            return "shares one layer's keys among several layers (num_kv_shared_layers)"
        if not getattr(text, "num_hidden_layers", 0):
            return "has no num_hidden_layers in its config"
        if "past_key_values" not in signature(self.decoder(model).forward).parameters:
            return "takes no past_key_values, so it has no key-value cache to prune (it may be an encoder)"
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
        config: Any = model.config
        return int(config.get_text_config(decoder=True).num_hidden_layers)

    def rotary(self, model: torch.nn.Module) -> list[Rotary | None]:
        """See `Adapter.rotary`."""
        return find_rotary(self.decoder(model), self.num_layers(model))

    def forward(self, model: torch.nn.Module, inputs: Mapping[str, Any], cache: Any) -> Tensor:
        """See `Adapter.forward`; `inputs` has `input_ids` (B, Q) and what else the model takes. Returns logits."""
        output: Tensor = model(**inputs, past_key_values=cache, use_cache=True).logits
        return output

    def token_kinds(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> list[list[str]]:
        """See `Adapter.token_kinds`: "text", or "padding" where the attention mask is 0."""
        mask = inputs.get("attention_mask")
        rows: list[list[int]] = (torch.ones_like(inputs["input_ids"]) if mask is None else mask).tolist()
        return [["text" if real else "padding" for real in row] for row in rows]
