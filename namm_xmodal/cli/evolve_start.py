"""Where a run starts: parameters and threshold schedules of a saved policy."""

import numpy as np

from namm_xmodal.config.building import at
from namm_xmodal.config.evolve import EvolveConfig
from namm_xmodal.errors import ConfigError, NammError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.fitness.agree import PREFIX
from namm_xmodal.policies.namm import Namm, ThresholdSchedule

SCHEDULES = "schedules"
"""In the metadata of a policy: the schedules of the sources of agreement, by label."""


def start_vector(config: EvolveConfig, template: Namm) -> Array:
    """The first mean, shape (N,).

    Raises:
        ConfigError: If the policy to start from is of other parts than the configuration's.
    """
    size = template.parameters.shape[-1]
    if config.start == "zeros":
        return np.zeros(size)
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
                    f"start: {config.start}: evolved with {key}={value}, this run has {new[key]}; set {key}: {value}"
                    + (f" of the channel {old['channel']}" if len(policy.features.channels) > 1 else "")
                )
    return np.asarray(policy.parameters[0].double().numpy(), dtype=np.float64)


def start_schedule(config: EvolveConfig) -> ThresholdSchedule:
    """The threshold schedule of the policy to start from; members keep it."""
    if config.start == "zeros":
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
    if config.start == "zeros" or not config.agree:
        return {}
    try:
        found = Namm.from_pretrained(config.start).metadata.get(SCHEDULES, {})
        named_so = {label: dict(each) for label, each in found.items() if label.removeprefix(PREFIX) in config.agree}
        return {label: ThresholdSchedule.of({int(k): float(v) for k, v in x.items()}) for label, x in named_so.items()}
    except NammError as error:
        raise at("start", error) from None
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(f"start: {config.start}: its {SCHEDULES} are no mapping of tokens to thresholds") from None
