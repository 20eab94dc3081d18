"""Environments by id, ours registered with gymnasium."""

from collections.abc import Callable
from typing import Any

from namm_xmodal.envs.quiet import quiet_simulator
from namm_xmodal.errors import ConfigError, MissingDependencyError, NammError, PluginError
from namm_xmodal.extras import need
from namm_xmodal.plugins import Registry
from namm_xmodal.trust.files import reason_of

OWN = Registry("environments", {})
"""Of plug-ins: gymnasium id -> class or function that makes the environment, or `module:name` of one."""


def register_environments() -> None:
    """Makes `namm_xmodal/TMaze-v0`, `namm_xmodal/HopperPositions-v5` and those of plug-ins known to gymnasium.

    Raises:
        MissingDependencyError: If gymnasium is not installed.
        PluginError: If a plug-in takes an id that exists.
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
    for name, entry in OWN.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=entry)
        elif gymnasium.registry[name].entry_point is not entry:
            raise PluginError(f"plug-in of environments: gymnasium already has {name!r}; rename the plug-in's entry")


_allowed: set[str] = set()


def allow_module(name: str) -> None:
    """Imports a module of the user's, which registers its environments; from now on `name:Env-v0` may be named too.

    Only the person at the keyboard may call for it: a configuration or a checkpoint that names a module is refused.

    Raises:
        ConfigError: If there is no such module, or it cannot be imported.
    """
    import importlib

    try:
        importlib.import_module(name)
    except Exception as error:  # what a module does while it is imported
        raise ConfigError(f"--allow-module {name}: cannot be imported ({reason_of(error)})") from None
    _allowed.add(name)


def environment_maker(name: str, **options: Any) -> Callable[..., Any]:
    """A function that makes the environment, with more options if it is given some.

    A first one is made and closed, so that mistakes show now.

    Args:
        name: A gymnasium id with its version, such as Hopper-v5.
        options: Of the environment.

    Raises:
        ConfigError: If there is no such environment, it does not take the options, or a module would be imported for it.
        MissingDependencyError: If a package is missing.
    """
    register_environments()
    import gymnasium

    for told in (name, *options.values()):  # one environment may be told the id of another
        module = told.rpartition(":")[0] if isinstance(told, str) else ""
        if module and module not in _allowed:
            raise ConfigError(
                f"environment {told!r}: gymnasium would import {module}; if that is a module of yours, add "
                f"--allow-module {module}"
            )

    def make(**more: Any) -> Any:
        with quiet_simulator():
            return gymnasium.make(name, **options, **more)

    try:
        make().close()
    except gymnasium.error.DependencyNotInstalled:
        raise MissingDependencyError(name, "rl") from None
    except NammError:
        raise
    except Exception as error:  # an environment given the wrong options raises whatever it likes
        raise ConfigError(
            f"environment {name!r}: cannot be created ({reason_of(error)}); expected a gymnasium id such as "
            "Hopper-v5 or namm_xmodal/TMaze-v0"
        ) from None
    return make
