"""Outputs of models, and the distance in nats between two outputs for the same input, for any modality."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.adapters.decision_transformer import KINDS, TOKENS_PER_STEP, DecisionTransformerAdapter
from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.errors import UnsupportedModelError

_ELEMENTS = 2**26
"""Most numbers of one block of outputs: 256 MiB in float32."""
_SMALLEST_VARIANCE = 1e-4
"""Of actions: an agent that does one and the same thing throughout has none."""


class Outputs(Protocol):
    """Outputs of one kind of model at chosen tokens."""

    def positions(self, start: int, stop: int) -> list[int]:
        """The tokens from `start` on, before `stop`, after which the model puts something out."""

    def wanted(self, inputs: Mapping[str, Any], places: list[int]) -> dict[str, Any]:
        """Inputs for the adapter's `forward`, so that it computes the outputs at these tokens."""

    def of(self, model: Any, result: Tensor, places: list[int]) -> Tensor:
        """(B, Q, ...) outputs at these tokens, from what `forward` returned for `wanted`."""

    def distances(self, full: Tensor, other: Tensor) -> Tensor:
        """(1, Q, ...) and (B, Q, ...) outputs -> (B, Q) nats, 0 where they are the same."""

    def at_once(self, model: Any, rows: int) -> int:
        """Most tokens whose outputs fit in memory together."""

    def remembered(self, model: Any, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """What `compute` returns, at any later time and for little memory."""


class NextTokens:
    """Distributions over the next token, of language models and of those that see; distance KL(full || other)."""

    def positions(self, start: int, stop: int) -> list[int]:
        """See `Outputs.positions`: all of them."""
        return list(range(start, stop))

    def wanted(self, inputs: Mapping[str, Any], places: list[int]) -> dict[str, Any]:
        """See `Outputs.wanted`."""
        return {**inputs, "logits_to_keep": torch.tensor(places, device=next(iter(inputs.values())).device)}

    def of(self, model: Any, result: Tensor, places: list[int]) -> Tensor:
        """See `Outputs.of`: logits."""
        return result

    def distances(self, full: Tensor, other: Tensor) -> Tensor:
        """See `Outputs.distances`."""
        precision = torch.promote_types(other.dtype, torch.float32)
        target, found = (logits.to(precision).log_softmax(-1) for logits in (full, other))
        return F.kl_div(found, target.expand_as(found), reduction="none", log_target=True).sum(-1)

    def at_once(self, model: Any, rows: int) -> int:
        """See `Outputs.at_once`."""
        return max(1, _ELEMENTS // (rows * int(model.get_output_embeddings().weight.shape[0])))

    def remembered(self, model: Any, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See `Outputs.remembered`: keeps what the head read, a fiftieth of the logits, and multiplies again.

        Where more follows the head than its product, everything is computed again.
        """
        head, read = model.get_output_embeddings(), list[Tensor]()
        hook = head.register_forward_pre_hook(lambda module, given: read.append(given[0]))
        try:
            logits = compute()
        finally:
            hook.remove()
        if len(read) != 1:
            return compute
        again: Tensor = head(read[0])
        exact = again.dtype == logits.dtype and torch.equal(again, logits)
        return (lambda: head(read[0])) if exact else compute


class Actions:
    """What a Decision Transformer would do next, read off the states' tokens.

    The distance is |a - b|^2 / (2 v) with v the variance of the full memory's actions in this episode, averaged over their
    numbers: KL between normal distributions around the two actions, as wide as the episode's actions scatter. So it is in
    nats too, about 1 a number where actions have nothing to do with the full ones.
    """

    def positions(self, start: int, stop: int) -> list[int]:
        """See `Outputs.positions`: the states' tokens; the first token is a return."""
        return [at for at in range(start, stop) if at % TOKENS_PER_STEP == KINDS.index("state")]

    def wanted(self, inputs: Mapping[str, Any], places: list[int]) -> dict[str, Any]:
        """See `Outputs.wanted`: everything that it reads."""
        return dict(inputs)

    def of(self, model: Any, result: Tensor, places: list[int]) -> Tensor:
        """See `Outputs.of`."""
        actions: Tensor = model.predict_action(result[:, places])  # (B, T, hidden) -> (B, Q, act_dim)
        return actions

    def distances(self, full: Tensor, other: Tensor) -> Tensor:
        """See `Outputs.distances`."""
        variance = full.var(1, correction=0).mean().clamp(min=_SMALLEST_VARIANCE)
        return (other - full).square().sum(-1) / (2 * variance)

    def at_once(self, model: Any, rows: int) -> int:
        """See `Outputs.at_once`: whole episodes."""
        return _ELEMENTS

    def remembered(self, model: Any, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See `Outputs.remembered`: actions are small."""
        actions = compute()
        return lambda: actions


def outputs_of(model: Any, adapter: Adapter) -> Outputs:
    """The kind of outputs that a model has.

    Raises:
        UnsupportedModelError: If none of those that can be compared.
    """
    if isinstance(adapter, DecisionTransformerAdapter):
        return Actions()
    if getattr(model, "get_output_embeddings", lambda: None)() is not None:
        return NextTokens()
    raise UnsupportedModelError(
        f"{type(model).__name__} outputs neither next tokens nor actions, so agreement cannot be measured; expected a "
        "language model, a vision-language model or a Decision Transformer"
    )
