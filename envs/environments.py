"""Environments by id, ours registered with gymnasium."""

from collections.abc import Callable
from typing import Any

from namm_xmodal.envs.quiet import quiet_simulator
from namm_xmodal.errors import ConfigError, MissingDependencyError
from namm_xmodal.extras import need


def register_environments() -> None:
    """Makes `namm_xmodal/TMaze-v0` and `namm_xmodal/HopperPositions-v5` known to gymnasium; once is enough.

    Raises:
        MissingDependencyError: If gymnasium is not installed.
    """
    gymnasium = need("gymnasium", "a rollout")
    from namm_xmodal.envs.positions import HOPPER_POSITIONS
    from namm_xmodal.envs.tmaze import TMAZE

    for name, entry in (
        (TMAZE, "namm_xmodal.envs.tmaze:TMaze"),
        (HOPPER_POSITIONS, "namm_xmodal.envs.positions:make_hopper_positions"),
    ):
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=entry, max_episode_steps=1000 if "Hopper" in name else None)


def environment_maker(name: str, **options: Any) -> Callable[..., Any]:
    """A function that makes the environment, with more options if it is given some.

    A first one is made and closed, so that mistakes show now.

    Args:
        name: A gymnasium id with its version, such as Hopper-v5.
        options: Of the environment.

    Raises:
        ConfigError: If there is no such environment, or it does not take the options.
        MissingDependencyError: If a package is missing.
    """
    register_environments()
    import gymnasium

    def make(**more: Any) -> Any:
        with quiet_simulator():
            return gymnasium.make(name, **options, **more)

    try:
        make().close()
    except gymnasium.error.DependencyNotInstalled:
        raise MissingDependencyError(name, "rl") from None
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise ConfigError(
            f"environment {name!r}: cannot be made ({str(error).splitlines()[0]}); expected a gymnasium id such as "
            "Hopper-v5 or namm_xmodal/TMaze-v0"
        ) from None
    return make
