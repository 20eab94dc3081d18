"""The adapter protocol: what the engine needs to know about an architecture. Adapters contain no attention code."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from namm_xmodal.policies.protocol import Rotary


@runtime_checkable
class Adapter(Protocol):
    """Describes one kind of model: which part uses the cache, how it is fed, and what its tokens are.

    `check_adapter` runs this contract on any implementation.
    """

    name: str

    def missing(self, model: torch.nn.Module) -> str | None:
        """Why this model cannot be pruned, in words that complete "the model ..."; None if it can.

        Starts with "is not a" if it is another kind of model.
        """

    def decoder(self, model: torch.nn.Module) -> torch.nn.Module:
        """The module that takes the cache as `past_key_values` whenever the model is called, directly or by `generate`.

        Inside `pruned`, calls that come without a cache are given one there; where the module's `forward` has no such
        argument they are refused.
        """

    def attention_implementation(self, model: torch.nn.Module, name: str) -> str | dict[str, Any]:
        """The argument for `model.set_attn_implementation` that switches the pruned part, and only it, to `name`."""

    def current_implementation(self, model: torch.nn.Module) -> str | dict[str, Any]:
        """The argument for `model.set_attn_implementation` that restores the model as it is now."""

    def num_layers(self, model: torch.nn.Module) -> int:
        """Attention layers that use the cache."""

    def rotary(self, model: torch.nn.Module) -> list[Rotary | None]:
        """The rotary embedding of each layer; None where keys are not rotated."""

    def forward(self, model: torch.nn.Module, inputs: Mapping[str, Any], cache: Any) -> Tensor:
        """Feeds tokens with the cache; returns the last hidden states or logits, (B, Q, ...)."""

    def token_kinds(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> list[list[str]]:
        """The kind of each token of each row, for reports and pictures, for example "text" or "padding"."""
