"""All strategies and presets by name, as configurations and the command line know them."""

from collections.abc import Mapping
from typing import Any

from namm_xmodal.errors import ConfigError, UnknownNameError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.cma import CmaStrategy
from namm_xmodal.evolution.openai_es import OpenAiEs
from namm_xmodal.evolution.optimal_weights import OptimalWeights
from namm_xmodal.evolution.random_search import RandomSearch
from namm_xmodal.evolution.snes import SeparableNes
from namm_xmodal.evolution.strategy import Strategy
from namm_xmodal.plugins import Registry

STRATEGIES: Mapping[str, type] = Registry(
    "strategies",
    {
        "cma": CmaStrategy,
        "snes": SeparableNes,
        "openai_es": OpenAiEs,
        "optimal_weights": OptimalWeights,
        "random_search": RandomSearch,
    },
)

PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    # The NAMM paper's settings: full covariance, truncated weights, CSA.
    "paper": ("cma", {"covariance": "full", "step_size": "csa", "sigma0": 0.065, "population": 32}),
}


def build_strategy(name: str, start: Array, **options: Any) -> Strategy:
    """Makes a strategy.

    Args:
        name: A key of `STRATEGIES` or `PRESETS`.
        start: First mean, shape (N,).
        options: The strategy's own keyword arguments; they win over a preset's.

    Raises:
        UnknownNameError: If there is no such strategy.
        ConfigError: If an option is unknown or out of range.
    """
    if name not in STRATEGIES and name not in PRESETS:
        raise UnknownNameError("strategy", name, [*STRATEGIES, *PRESETS])
    base, preset = PRESETS.get(name, (name, {}))
    known = strategy_options(base)
    for option in options:
        if option not in known:
            raise ConfigError(f"strategy {name} has no option {option!r}; expected one of {', '.join(known)}")
    strategy: Strategy = STRATEGIES[base](start, **{**preset, **options})
    return strategy


def strategy_options(name: str) -> dict[str, Any]:
    """Options of a strategy or preset with their defaults."""
    from inspect import signature

    base, preset = PRESETS.get(name, (name, {}))
    parameters = signature(STRATEGIES[base]).parameters.values()
    return {p.name: preset.get(p.name, p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}
