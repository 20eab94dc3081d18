"""Where a run starts: parameters and threshold schedules of a saved policy, or weights of channels."""

import math
from typing import TypeGuard

import numpy as np

from namm_xmodal.config.building import at
from namm_xmodal.config.evolve import EvolveConfig, Start
from namm_xmodal.errors import ConfigError, NammError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.fitness.agree import PREFIX
from namm_xmodal.policies.namm import Namm, ThresholdSchedule, linear_start

SCHEDULES = "schedules"
"""In the metadata of a policy: the schedules of the sources of agreement, by label."""


def start_vector(config: EvolveConfig, template: Namm) -> Array:
    """The first mean, shape (N,).

    Raises:
        ConfigError: If the policy to start from has other parts than the configuration, or weights do not fit.
    """
    size = template.parameters.shape[-1]
    if config.start == "zeros":
        return np.zeros(size)
    if not isinstance(config.start, str):
        try:
            return linear_start(template, config.start, config.start_sigma, config.seed)
        except ConfigError as error:
            raise at("start", error) from None
    try:
        policy = Namm.from_pretrained(config.start)
    except NammError as error:
        raise at("start", error) from None
    parts = (policy.sharing, policy.features.name, policy.scorer.name, policy.parameters.shape[-1])
    if parts != ("model", template.features.name, config.scorer, size):
        raise ConfigError(
            f"start: {config.start}: {policy}; expected one set of {size} parameters, {template.features.name} -> "
            f"{config.scorer}"
        )
    for old, new in zip(policy.features.entries(), template.features.entries(), strict=True):
        for key, value in old.items():
            if new[key] != value:
                raise ConfigError(
                    f"start: {config.start}: was evolved with {key}={value}, but this run has {new[key]}; set {key}: "
                    f"{value}" + (f" of the channel {old['channel']}" if len(policy.features.channels) > 1 else "")
                )
    return np.asarray(policy.parameters[0].double().numpy(), dtype=np.float64)


def _is_saved(start: Start) -> TypeGuard[str]:
    """Whether this names a saved policy."""
    return isinstance(start, str) and start != "zeros"


def check_selection(config: EvolveConfig) -> None:
    """Refuses to evolve a policy whose heads each keep a share in a run whose members do not.

    Raises:
        ConfigError: With what to set.
    """
    if not _is_saved(config.start) or config.threshold == -math.inf:
        return
    try:
        policy = Namm.from_pretrained(config.start)
    except NammError as error:
        raise at("start", error) from None
    if policy.threshold == -math.inf:
        raise ConfigError(
            f"start: {config.start}: keeps the best tokens of every head, but this run keeps those above a threshold; "
            f"set threshold=-.inf and max_tokens={policy.max_tokens}"
        )


def start_schedule(config: EvolveConfig) -> ThresholdSchedule:
    """The threshold schedule of the policy to start from; members keep it."""
    if not _is_saved(config.start):
        return ThresholdSchedule()
    try:
        return Namm.from_pretrained(config.start).schedule
    except NammError as error:
        raise at("start", error) from None


def start_schedules(config: EvolveConfig) -> dict[str, ThresholdSchedule]:
    """The schedules that gradients found for the sources of agreement, by label; members keep them.

    Raises:
        ConfigError: If what the policy says of them cannot be read.
    """
    if not _is_saved(config.start) or not config.agree:
        return {}
    try:
        found = Namm.from_pretrained(config.start).metadata.get(SCHEDULES, {})
        named_so = {label: dict(each) for label, each in found.items() if label.removeprefix(PREFIX) in config.agree}
        return {label: ThresholdSchedule.of({int(k): float(v) for k, v in x.items()}) for label, x in named_so.items()}
    except NammError as error:
        raise at("start", error) from None
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(
            f"start: {config.start}: its {SCHEDULES} are not a mapping of token counts to thresholds"
        ) from None
