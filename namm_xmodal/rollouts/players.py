"""Loads the models of a configuration and puts each beside the environment that it acts in."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from namm_xmodal.agents.body import Body
from namm_xmodal.agents.checkpoint import find_checkpoints, load_checkpoint, read_statistics
from namm_xmodal.agents.facts import Facts
from namm_xmodal.config import RolloutConfig
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.rollout import Target
from namm_xmodal.envs.spaces import size_of
from namm_xmodal.errors import ConfigError

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


def load_players(config: RolloutConfig, notice: Notice) -> list[Player]:
    """All models of a configuration.

    Raises:
        NammError: If a model, its environment or their sizes do not fit.
    """
    given = None if config.state_statistics is None else read_statistics(Path(config.state_statistics))
    players = []
    for label, place in find_checkpoints(config.model, config.model_seeds).items():
        loaded = load_checkpoint(label, place, dtype=getattr(torch, config.dtype), statistics=given)
        environment = _environment(config, loaded.facts, label)
        options = dict(config.environment_options)
        if loaded.facts is not None and environment == loaded.facts.environment:
            options = {**loaded.facts.options, **options}
        make = environment_maker(environment, **options)
        check_sizes(make, loaded.body, environment, label)
        if loaded.body.statistics is None and (
            loaded.facts is None or loaded.facts.environment.endswith(("-v4", "-v5"))
        ):
            notice(
                f"{label}: brings no statistics of its states, so they go in as they are; give state_statistics if it was "
                "trained on standardised ones"
            )
        target = _target(config, loaded.facts, label)
        _warn_about_target(target, loaded.facts, notice, label)
        window = 0 if loaded.facts is None else loaded.facts.window
        players.append(Player(label, loaded.body, environment, make, target, window))
    return players


def check_sizes(make: Callable[[], Any], body: Body, environment: str, label: str) -> None:
    """Refuses an environment whose states or actions are not the model's.

    Raises:
        ConfigError: With both sizes, or the kind of states or actions that is not supported.
    """
    world = make()
    try:
        found = (size_of(world.observation_space, "states"),), (size_of(world.action_space, "actions"),)
    except ConfigError as error:
        raise ConfigError(f"{environment}: {error}") from None
    finally:
        world.close()
    wanted = (body.model.config.state_dim,), (body.model.config.act_dim,)
    if found != wanted:
        raise ConfigError(
            f"{environment}: states {found[0]} and actions {found[1]}, the model {label} has {wanted[0]} and {wanted[1]}; "
            "expected a model of this environment (mind its version: -v4, -v5)"
        )


def _environment(config: RolloutConfig, facts: Facts | None, label: str) -> str:
    if config.environment is None:
        if facts is None:
            raise ConfigError(f"environment: missing; the model {label} does not say which one it was trained for")
        return facts.environment
    if facts is not None and not config.other_version:
        asked, own = (name.rpartition("-v") for name in (config.environment, facts.environment))
        if asked[0] == own[0] and asked[2] != own[2]:
            raise ConfigError(
                f"environment: {config.environment}: the data of {label} come from {facts.environment}, and versions pay "
                "different rewards; leave environment out, or set other_version: true"
            )
    return config.environment


def _target(config: RolloutConfig, facts: Facts | None, label: str) -> Target:
    total = config.target if config.target is not None else None if facts is None else facts.target
    if total is None:
        raise ConfigError(f"target: missing; the model {label} does not say which return to ask for")
    scale = config.scale or (1000.0 if facts is None else facts.scale)
    return Target(total, scale, config.mode or ("decrement" if facts is None else facts.mode))


def _warn_about_target(target: Target, facts: Facts | None, notice: Notice, label: str) -> None:
    if facts is None or not facts.returns:
        return
    low, high = facts.returns
    if not low <= target.total <= high + 0.01 * abs(high):
        notice(f"{label}: target {target.total:g} lies outside the returns of its data, {low:.0f} to {high:.0f}")
