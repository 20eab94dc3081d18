"""The mode `window`: the last K steps go through the whole model at every step, as the paper and its code do."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from namm_xmodal.agents.agent_model import AgentModel
from namm_xmodal.arrays import FloatArray
from namm_xmodal.envs.agent import Actor, StepInput
from namm_xmodal.errors import ConfigError

TOKENS_PER_STEP = 3


class WindowAgent:
    """A Decision Transformer that recomputes a window of steps and remembers nothing else."""

    name = "window"

    def __init__(self, agent_model: AgentModel, steps: int = 20) -> None:
        """Makes an agent.

        Args:
            agent_model: Model and statistics.
            steps: Length of the window, K; 20 in the paper.

        Raises:
            ConfigError: If it is not positive.
        """
        if steps < 1:
            raise ConfigError(f"window={steps}: expected at least 1 step, 20 in the paper")
        self.agent_model, self.steps = agent_model, steps

    @contextmanager
    def begin(self, episodes: int) -> Iterator[Actor]:
        """An actor without history."""
        yield WindowActor(self.agent_model, self.steps)


class WindowActor:
    """One batch of episodes with their last steps."""

    def __init__(self, agent_model: AgentModel, steps: int) -> None:
        """Starts without history."""
        self._agent_model, self._steps = agent_model, steps
        self._inputs: list[StepInput] = []

    @torch.no_grad()
    def act(self, step_input: StepInput) -> FloatArray:
        """Recomputes the window; see `Actor.act`."""
        agent_model, model = self._agent_model, self._agent_model.model
        self._inputs = [*self._inputs, step_input][-self._steps :]
        inputs = self._inputs
        batch = len(step_input.states)
        # a_t of each step but the newest, which is not known yet: zeros, which the causal mask hides from s_t
        actions = [later.previous_actions for later in inputs[1:]] + [np.zeros((batch, model.config.act_dim))]
        times = torch.tensor([each.step for each in inputs], device=model.device)
        output = model(
            states=torch.stack([agent_model.states(each.states) for each in inputs], 1),  # (B, T, state_dim)
            actions=agent_model.tensor(np.stack([a for a in actions if a is not None], 1)),
            returns_to_go=agent_model.tensor(np.stack([each.returns_to_go for each in inputs], 1))[..., None],
            timesteps=times.clamp(max=model.config.max_ep_len - 1).expand(batch, -1),
        )
        return agent_model.rounded(output.action_preds[:, -1])

    def kept(self) -> FloatArray:
        """The window's tokens; see `Actor.kept`."""
        return np.full(len(self._inputs[-1].states), TOKENS_PER_STEP * len(self._inputs) - 1.0)

    def survivors(self, row: int) -> None:
        """The window is known; see `Actor.survivors`."""
        return None
