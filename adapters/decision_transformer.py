"""The Decision Transformer (Chen et al., arXiv 2106.01345) as transformers has it, stepped through a pruned cache.

`DecisionTransformerModel.forward` takes no cache, but its trunk, `model.encoder`, does. Tokens are embedded by the
model's own modules, as its `forward` does, and fed in the order R_t, s_t, a_t; a_t is known one step late, so a step of
the environment feeds a_{t-1}, R_t, s_t and reads the next action off s_t.

All tokens have position 0: the trunk adds one and the same position embedding to each, time enters through
`embed_timestep` and order through the causal mask alone (left to count by itself, the trunk would drift and then run
out of positions).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import DecisionTransformerModel

from namm_xmodal.adapters.decision_transformer_steps import TrunkWeights, can_step, step_trunk
from namm_xmodal.policies.protocol import Rotary

TOKENS_PER_STEP = 3
KINDS = ("return", "state", "action")


class DecisionTransformerAdapter:
    """`DecisionTransformerModel` of transformers, with checkpoints of any sizes."""

    name = "decision_transformer"

    def missing(self, model: torch.nn.Module) -> str | None:
        """See `Adapter.missing`."""
        if not isinstance(model, DecisionTransformerModel):
            return "is not a DecisionTransformerModel of transformers"
        if model.config.reorder_and_upcast_attn or model.config.add_cross_attention:
            return "uses a non-standard attention (reorder_and_upcast_attn or add_cross_attention in its config)"
        return None

    def decoder(self, model: torch.nn.Module) -> torch.nn.Module:
        """See `Adapter.decoder`: the model itself, which takes no cache, so that plain calls of it are refused."""
        return model

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
        return int(config.n_layer)

    def rotary(self, model: torch.nn.Module) -> list[Rotary | None]:
        """See `Adapter.rotary`: none, since keys are not rotated."""
        return [None] * self.num_layers(model)

    def forward(self, model: torch.nn.Module, inputs: Mapping[str, Any], cache: Any) -> Tensor:
        """Feeds tokens with the cache.

        Args:
            model: The model.
            inputs: Either whole trajectories, `states` (B, T, state_dim), `actions` (B, T, act_dim), `returns_to_go`
                (B, T, 1) and `timesteps` (B, T); or `inputs_embeds` (B, Q, hidden_size) of `embed_step`. Both may come
                with an `attention_mask` (B, tokens so far), 0 for padding.
            cache: Of `memory.cache()`, or any cache of transformers.

        Returns:
            (B, Q, hidden_size) last hidden states; Q = 3 T for trajectories.
        """
        embedded = inputs.get("inputs_embeds")
        if embedded is None:
            embedded = embed_trajectories(model, **{name: inputs[name] for name in _TRAJECTORY})
        if can_step(model, embedded, inputs.get("attention_mask"), cache):
            return step_trunk(TrunkWeights.of(model), embedded, cache)
        trunk: Any = model.get_submodule("encoder")
        zeros = torch.zeros(embedded.shape[:2], dtype=torch.long, device=embedded.device)
        hidden: Tensor = trunk(
            inputs_embeds=embedded,
            attention_mask=inputs.get("attention_mask"),
            position_ids=zeros,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return hidden

    def token_kinds(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> list[list[str]]:
        """See `Adapter.token_kinds`: "return", "state", "action", or "padding" where the attention mask is 0."""
        if "kinds" in inputs:
            kinds = list(inputs["kinds"])
            batch = int(inputs["inputs_embeds"].shape[0])
        else:
            batch, steps = inputs["states"].shape[:2]
            kinds = list(KINDS) * int(steps)
        mask = inputs.get("attention_mask")
        if mask is None:
            return [list(kinds) for _ in range(batch)]
        rows: list[list[int]] = mask.tolist()
        return [[kind if real else "padding" for kind, real in zip(kinds, row, strict=True)] for row in rows]


_TRAJECTORY = ("states", "actions", "returns_to_go", "timesteps")


def embed_trajectories(model: Any, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor) -> Tensor:
    """Tokens R_1, s_1, a_1, R_2, ... of whole trajectories.

    Args:
        model: A `DecisionTransformerModel`.
        states: (B, T, state_dim), normalised as in training.
        actions: (B, T, act_dim).
        returns_to_go: (B, T, 1), divided by the model's scale.
        timesteps: (B, T) int64; beyond the last one that the model knows, the last one counts.

    Returns:
        (B, 3 T, hidden_size).
    """
    time = _time(model, timesteps)
    parts = [
        model.embed_return(returns_to_go) + time,
        model.embed_state(states) + time,
        model.embed_action(actions) + time,
    ]
    stacked = torch.stack(parts, dim=2)  # (B, T, 3, hidden)
    embedded: Tensor = model.embed_ln(stacked.flatten(1, 2))  # (B, T, 3, hidden) -> (B, 3 T, hidden)
    return embedded


def embed_step(
    model: Any, previous_actions: Tensor | None, returns_to_go: Tensor, states: Tensor, timesteps: Tensor
) -> Tensor:
    """Tokens of one step of the environment: a_{t-1} (none at the first), R_t, s_t.

    Args:
        model: A `DecisionTransformerModel`.
        previous_actions: (B, act_dim), None at the first step.
        returns_to_go: (B, 1).
        states: (B, state_dim).
        timesteps: (B,) int64, of the new state.

    Returns:
        (B, 2 or 3, hidden_size).
    """
    time = _time(model, timesteps)
    parts = [model.embed_return(returns_to_go) + time, model.embed_state(states) + time]
    if previous_actions is not None:
        parts.insert(0, model.embed_action(previous_actions) + _time(model, timesteps - 1))
    embedded: Tensor = model.embed_ln(torch.stack(parts, dim=1))  # (B, 2 or 3, hidden)
    return embedded


def _time(model: Any, timesteps: Tensor) -> Tensor:
    time: Tensor = model.embed_timestep(timesteps.clamp(max=model.config.max_ep_len - 1))
    return time
