"""Loads the models of a configuration, ready to act."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from namm_xmodal.agents.body import Body
from namm_xmodal.agents.checkpoint import load_checkpoint
from namm_xmodal.agents.facts import Facts
from namm_xmodal.envs.rollout import Target
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.setups import RolloutSetup

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Player:
    """One model, ready to act.

    Attributes:
        label: Of the model.
        body: Model and statistics of its states.
        environment: Gymnasium id.
        make: Makes the environment.
        target: What it is asked to reach.
        window: Steps of its training windows, 0 if unknown.
    """

    label: str
    body: Body
    environment: str
    make: Callable[..., Any]
    target: Target
    window: int

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits over the model's weights."""
        digest = hashlib.sha256()
        for name, weight in self.body.model.state_dict().items():
            digest.update(name.encode())
            digest.update(weight.detach().cpu().numpy().tobytes())
        return digest.hexdigest()[:12]


def load_players(config: RlSection, setups: Sequence[RolloutSetup], notice: Notice) -> list[Player]:
    """Loads the models of a configuration.

    Args:
        config: What to play.
        setups: What `find_setups` found for it.
        notice: Told of states that go in as they are, and of targets outside the data.

    Raises:
        NammError: If a model cannot be loaded, or does not fit its statistics.
    """
    players = []
    for setup in setups:
        loaded = load_checkpoint(
            setup.label, setup.place, dtype=getattr(torch, config.dtype), statistics=setup.statistics
        )
        facts = setup.facts
        if loaded.body.statistics is None and (facts is None or facts.environment.endswith(("-v4", "-v5"))):
            notice(
                f"{setup.label}: brings no statistics of its states, so they go in as they are; give state_statistics if "
                "it was trained on standardised ones"
            )
        _warn_about_target(setup.target, facts, notice, setup.label)
        window = 0 if facts is None else facts.window
        players.append(Player(setup.label, loaded.body, setup.environment, setup.make, setup.target, window))
    return players


def _warn_about_target(target: Target, facts: Facts | None, notice: Notice, label: str) -> None:
    if facts is None or not facts.returns:
        return
    low, high = facts.returns
    if not low <= target.total <= high + 0.01 * abs(high):
        notice(f"{label}: target {target.total:g} lies outside the returns of its data, {low:.0f} to {high:.0f}")
