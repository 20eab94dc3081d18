"""The training loop: mean squared error of actions, AdamW, warm-up and cosine (Chen et al., arXiv 2106.01345, appendix).

`# Deviates:` from the paper's 100,000 updates at a learning rate of 1e-4: ten times the rate and a few hundred updates are
enough for these tasks and take minutes on one core.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from namm_xmodal.training.decision_transformer.windows import Batch


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast.

    Attributes:
        updates: Of the weights.
        batch: Windows per update.
        rate: Largest learning rate.
        warm_up: Updates until it is reached; a cosine to a tenth of it follows.
        decay: Weight decay.
        clip: Largest norm of the gradient.
    """

    updates: int
    batch: int
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 1e-4
    clip: float = 0.25

    def factor(self, update: int) -> float:
        """Share of `rate` at an update, from 0."""
        if update < self.warm_up:
            return (update + 1) / self.warm_up
        done = (update - self.warm_up) / max(1, self.updates - self.warm_up)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def learn(
    model: Any,
    draw: Callable[[np.random.Generator, int, int], Batch],
    schedule: Schedule,
    seed: int,
    on_progress: Callable[[int, float], None] = lambda update, loss: None,
) -> float:
    """Trains a model in place and leaves it in evaluation mode.

    Args:
        model: A `DecisionTransformerModel`.
        draw: `draw(rng, batch, update)` gives the windows of an update.
        schedule: How long and how fast.
        seed: Of the windows.
        on_progress: Called after each update with its number, from 1, and its loss.

    Returns:
        Mean loss of the last tenth of the updates.
    """
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=schedule.rate, weight_decay=schedule.decay)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, schedule.factor)
    losses: list[float] = []
    half = computes_bfloat16()
    model.train()
    for update in range(schedule.updates):
        batch = draw(rng, schedule.batch, update)
        with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            predicted = model(**batch.inputs).action_preds  # (B, K, act_dim)
            errors = (predicted.float() - batch.inputs["actions"]).square().mean(-1)  # (B, K)
            loss = (errors * batch.weights).sum() / batch.weights.sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimiser.step()
        scheduler.step()
        losses.append(loss.item())
        on_progress(update + 1, losses[-1])
    model.eval()
    return float(np.mean(losses[-max(1, schedule.updates // 10) :]))


def computes_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16: a third less time per update, float32 elsewhere."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def new_model(state_dim: int, act_dim: int, seed: int, **sizes: Any) -> Any:
    """A `DecisionTransformerModel` with weights drawn from `seed`.

    Args:
        state_dim: Numbers of a state.
        act_dim: Numbers of an action.
        seed: Of the weights.
        **sizes: Fields of its configuration, such as `hidden_size`.
    """
    from transformers import DecisionTransformerConfig, DecisionTransformerModel

    config = DecisionTransformerConfig(
        state_dim=state_dim,
        act_dim=act_dim,
        activation_function="relu",
        n_positions=1,  # every token has position 0: order is the causal mask's and the timesteps' business
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        **sizes,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DecisionTransformerModel(config)
