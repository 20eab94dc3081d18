"""Models, their environments and target returns, read from configurations before weights are loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namm_xmodal.agents.agent_model import StateStatistics
from namm_xmodal.agents.checkpoint import find_checkpoints, read_configuration, read_statistics
from namm_xmodal.agents.checkpoint_metadata import CheckpointMetadata
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.rollout import Target
from namm_xmodal.envs.spaces import size_of
from namm_xmodal.errors import ConfigError
from namm_xmodal.modalities.rl.section import RlSection


@dataclass(frozen=True)
class RolloutSetup:
    """One model and its environment.

    Attributes:
        label: Of the model.
        place: Folder or hub id of the model.
        metadata: How it was trained, None if it does not say.
        statistics: Of its states, where the configuration gives them.
        environment: Gymnasium id.
        make: Makes the environment.
        target: What it is asked to reach.
        steps: Most steps of an episode; in a T-maze those of the straight way.
    """

    label: str
    place: str
    metadata: CheckpointMetadata | None
    statistics: StateStatistics | None
    environment: str
    make: Callable[..., Any]
    target: Target
    steps: int


def find_setups(
    config: RlSection, *, local: bool = False, absent: Callable[[str], None] = lambda label: None
) -> list[RolloutSetup]:
    """All models of a configuration, each with its environment.

    Args:
        config: What to play.
        local: Leave out models that would have to be fetched from the hub first.
        absent: Called with the label of each that was left out.

    Raises:
        NammError: If a model, its environment or their sizes do not fit.
    """
    given = None if config.state_statistics is None else read_statistics(Path(config.state_statistics))
    setups = []
    for label, place in find_checkpoints(config.model, config.model_seeds).items():
        known = read_configuration(place, local=local)
        if known is None:
            absent(label)
            continue
        model, metadata = known
        if given is not None:
            given.check_size(model.state_dim)
        environment = _environment(config, metadata, label)
        options = dict(config.environment_options)
        if metadata is not None and environment == metadata.environment:
            options = {**metadata.options, **options}
        make = environment_maker(environment, **options)
        steps = min(config.max_steps, _look_at(make, model, environment, label))
        target = _target(config, metadata, label)
        setups.append(RolloutSetup(label, place, metadata, given, environment, make, target, steps))
    return setups


def _look_at(make: Callable[[], Any], model: Any, environment: str, label: str) -> int:
    """Most steps of an episode; refuses an environment whose states or actions are not the model's.

    Raises:
        ConfigError: With both sizes, or the kind of states or actions that is not supported.
    """
    world = make()
    try:
        found = (size_of(world.observation_space, "states"),), (size_of(world.action_space, "actions"),)
        limits = (getattr(world.spec, "max_episode_steps", None), getattr(world.unwrapped, "straight_steps", None))
    except ConfigError as error:
        raise ConfigError(f"{environment}: {error}") from None
    finally:
        world.close()
    wanted = (model.state_dim,), (model.act_dim,)
    if found != wanted:
        raise ConfigError(
            f"{environment}: has states {found[0]} and actions {found[1]}, but the model {label} has {wanted[0]} and "
            f"{wanted[1]}; expected a model of this environment and version (-v4, -v5)"
        )
    return min((int(limit) for limit in limits if limit is not None), default=2**31)


def _environment(config: RlSection, metadata: CheckpointMetadata | None, label: str) -> str:
    if config.environment is None:
        if metadata is None:
            raise ConfigError(
                f"environment: missing, and the model {label} does not name one; set environment to a gymnasium id"
            )
        return metadata.environment
    if metadata is not None and not config.other_version:
        asked, own = (name.rpartition("-v") for name in (config.environment, metadata.environment))
        if asked[0] == own[0] and asked[2] != own[2]:
            raise ConfigError(
                f"environment: {config.environment}: the data of {label} come from {metadata.environment}, and rewards "
                "differ between versions; leave environment out, or set other_version: true"
            )
    return config.environment


def _target(config: RlSection, metadata: CheckpointMetadata | None, label: str) -> Target:
    total = config.target if config.target is not None else None if metadata is None else metadata.target
    if total is None:
        raise ConfigError(f"target: missing, and the model {label} has none; set target to a return")
    scale = config.scale or (1000.0 if metadata is None else metadata.scale)
    return Target(total, scale, config.mode or ("decrement" if metadata is None else metadata.mode))
