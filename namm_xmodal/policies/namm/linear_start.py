"""Parameters of an untrained network that ranks tokens by a weighted sum of channels."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm.age import AGE_NUMBERS
from namm_xmodal.policies.namm.bam import BamScorer
from namm_xmodal.policies.namm.policy import Namm


def linear_start(template: Namm, weights: Mapping[str, float], sigma: float, seed: int) -> NDArray[np.float64]:
    """A score that is a weighted sum of channels, but for noise.

    The last layer of the BAM scorer is linear in its inputs, to which its attention only adds. So setting a few of its
    weights, with everything else small, gives a ranking by those inputs that is still free to change in every
    direction.

    Args:
        template: Its features and scorer.
        weights: Channel to weight, the same for all of the channel's numbers.
        sigma: Deviation of all other parameters.
        seed: Of the others.

    Returns:
        (N,).

    Raises:
        ConfigError: If there are no weights, a channel is not among the features or has no fixed meaning, or the scorer
            is not the BAM.
    """
    features = template.features
    if not isinstance(template.scorer, BamScorer):
        raise ConfigError("a mapping needs a last layer that is linear in channels, as bam's is; set scorer: bam")
    if not weights:
        raise ConfigError("{}: expected at least one channel and its weight, such as {key_novelty: 0.4}")
    names = [channel.name for channel in features.channels]
    count = template.parameters.shape[-1]
    vector = np.random.default_rng([seed, 2]).normal(0.0, sigma, count)
    for name, weight in weights.items():
        if name not in names:
            raise ConfigError(
                f"{name}: not among the features {', '.join(names)}; add it to the features, or remove it here"
            )
        channel = features.channels[names.index(name)]
        if channel.num_parameters:
            raise ConfigError(f"{name}: its output is learnt, so it has no meaning at the start; remove it")
        first = _layer_of(template).start + sum(each.outputs for each in features.channels[: names.index(name)])
        vector[first : first + channel.outputs] = weight
    return vector


def last_layer(template: Namm) -> NDArray[np.bool_]:
    """Which parameters are weights of channels in the last layer: those that `linear_start` sets.

    Weights of a token's age are not among them: what they learn depends on the lengths of training.

    Args:
        template: Its features and scorer.

    Returns:
        (N,).

    Raises:
        ConfigError: If the scorer has no such layer.
    """
    if not isinstance(template.scorer, BamScorer):
        raise ConfigError("last_layer: needs a last layer that is linear in channels, as bam's is; set scorer: bam")
    found = np.zeros(template.parameters.shape[-1], dtype=np.bool_)
    found[_layer_of(template)] = True
    return found


def _layer_of(template: Namm) -> slice:
    """Weights of channels in the last layer; those of age stand before them, the layer's bias after."""
    features, count = template.features, template.parameters.shape[-1]
    stop = count - features.num_parameters - 1
    return slice(stop - features.num_inputs + AGE_NUMBERS, stop)
