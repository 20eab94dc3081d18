"""Embeds the tokens of a step, a_{t-1}, R_t and s_t, by one matrix product."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from namm_xmodal.arrays import FloatArray


class StepEmbedding:
    """What `embed_step` computes, for episodes that are all at the same step, in a quarter of the time.

    The three linear maps become one matrix with zeros between them, and what is added to each of the three tokens (its bias
    and its timestep) one table.
    """

    def __init__(self, model: Any) -> None:
        """Copies a `DecisionTransformerModel`'s embedding weights into one matrix and one table."""
        maps = (model.embed_action, model.embed_return, model.embed_state)
        with torch.no_grad():
            self._matrix = torch.block_diag(*(each.weight.T for each in maps)).contiguous()  # (inputs, 3 hidden)
            times = model.embed_timestep.weight[: model.config.max_ep_len]
            before = torch.cat([times[:1], times])[:-1]  # the timestep of a_{t-1}
            added = [before + maps[0].bias, times + maps[1].bias, times + maps[2].bias]
            # Beyond the last known timestep the last one counts; the first step there still has its predecessor's action.
            beyond = [times[-1:] + each.bias for each in maps]
            self._added = torch.cat([torch.cat(added, -1), torch.cat(beyond, -1)])  # (max_ep_len + 1, 3 hidden)
        norm = model.embed_ln
        self._norm = (norm.weight, norm.bias, float(norm.eps))
        self._hidden = int(norm.weight.shape[0])

    def __call__(
        self, previous_actions: FloatArray | None, returns_to_go: FloatArray, states: FloatArray, step: int
    ) -> Tensor:
        """The tokens of one step.

        Args:
            previous_actions: (B, act_dim), None at the first step.
            returns_to_go: (B,).
            states: (B, state_dim), standardised.
            step: Number of the new state, from 0.

        Returns:
            (B, 2 or 3, hidden_size).
        """
        batch = len(states)
        unknown = previous_actions is None
        if previous_actions is None:
            previous_actions = np.zeros((batch, len(self._matrix) - 1 - states.shape[1]))
        numbers = np.concatenate([previous_actions, returns_to_go[:, None], states], axis=1)
        added = self._added[min(step, len(self._added) - 1)]
        x = torch.as_tensor(numbers, dtype=self._matrix.dtype, device=self._matrix.device)
        tokens = torch.addmm(added, x, self._matrix).view(batch, 3, self._hidden)
        weight, bias, eps = self._norm
        return torch.layer_norm(tokens[:, 1:] if unknown else tokens, (self._hidden,), weight, bias, eps)
