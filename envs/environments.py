"""Environments by id, ours registered with gymnasium."""

from collections.abc import Callable
from typing import Any

from namm_xmodal.envs.quiet import quiet_simulator
from namm_xmodal.errors import ConfigError, MissingDependencyError, PluginError
from namm_xmodal.plugins import Registry

OWN = Registry("environments", {})
"""Of plug-ins: gymnasium id -> class or function that makes the environment, or `module:name` of one."""


def register_environments() -> None:
    """Makes `namm_xmodal/TMaze-v0`, `namm_xmodal/HopperPositions-v5` and those of plug-ins known to gymnasium.

    Raises:
        MissingDependencyError: If gymnasium is not installed.
        PluginError: If a plug-in takes an id that exists.
    """
    try:
        import gymnasium
    except ImportError:
        raise MissingDependencyError("a rollout", "rl") from None
    from namm_xmodal.envs.positions import HOPPER_POSITIONS
    from namm_xmodal.envs.tmaze import TMAZE

    for name, entry in (
        (TMAZE, "namm_xmodal.envs.tmaze:TMaze"),
        (HOPPER_POSITIONS, "namm_xmodal.envs.positions:make_hopper_positions"),
    ):
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=entry, max_episode_steps=1000 if "Hopper" in name else None)
    for name, entry in OWN.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=entry)
        elif gymnasium.registry[name].entry_point is not entry:
            raise PluginError(f"plug-in of environments: gymnasium has a {name!r} already; rename it")


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
