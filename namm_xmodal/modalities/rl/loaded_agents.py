"""Loads the models of a configuration, ready to act."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from namm_xmodal.agents.agent_model import AgentModel
from namm_xmodal.agents.checkpoint import load_checkpoint
from namm_xmodal.envs.rollout import Target
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.setups import RolloutSetup


@dataclass(frozen=True)
class LoadedAgent:
    """One model, ready to act.

    Attributes:
        label: Of the model.
        agent_model: Model and statistics of its states.
        environment: Gymnasium id.
        make: Makes the environment.
        target: What it is asked to reach.
        window: Steps of its training windows, 0 if unknown.
    """

    label: str
    agent_model: AgentModel
    environment: str
    make: Callable[..., Any]
    target: Target
    window: int

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits over the model's weights."""
        digest = hashlib.sha256()
        for name, weight in self.agent_model.model.state_dict().items():
            digest.update(name.encode())
            digest.update(weight.detach().cpu().numpy().tobytes())
        return digest.hexdigest()[:12]


def load_agents(config: RlSection, setups: Sequence[RolloutSetup]) -> list[LoadedAgent]:
    """Loads the models of a configuration.

    Args:
        config: What to play.
        setups: What `find_setups` found for it.

    Raises:
        NammError: If a model cannot be loaded, or does not fit its statistics.
    """
    agents = []
    for setup in setups:
        loaded = load_checkpoint(
            setup.label, setup.place, dtype=getattr(torch, config.dtype), statistics=setup.statistics
        )
        loaded.agent_model.model.to(config.device)
        window = 0 if setup.metadata is None else setup.metadata.window
        agents.append(LoadedAgent(setup.label, loaded.agent_model, setup.environment, setup.make, setup.target, window))
    return agents
