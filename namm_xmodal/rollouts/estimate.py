"""Feature statistics of the target model itself: from episodes that it plays with everything in memory.

No label and no reward is asked: nothing is chosen by how an episode ended. (With a target that counts down, rewards reach
the model as its own input, as in any rollout.)
"""

from collections.abc import Callable

from namm_xmodal.agents import CacheAgent
from namm_xmodal.config import RolloutConfig
from namm_xmodal.envs.rollout import rollout
from namm_xmodal.errors import DataError
from namm_xmodal.memory.statistics import FeatureRecorder
from namm_xmodal.policies.by_layer import ByLayer
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.namm.statistics import FeatureStatistics, StatisticsEstimator
from namm_xmodal.rollouts.players import Player

ESTIMATION_SEED = 90_000
"""Of the first episode; evaluations use others."""


def estimate_on(
    player: Player, namm: Namm, config: RolloutConfig, told: Callable[[int, int], None]
) -> list[FeatureStatistics]:
    """Statistics of a NAMM's features, one set for each layer, with a pooled set in front.

    Args:
        player: The model that plays.
        namm: Whose features.
        config: Decides the clock and the number of episodes.
        told: Called with step and running episodes.

    Raises:
        DataError: If every episode failed before its first step.
    """
    layers = player.body.model.config.n_layer
    by_layer = [StatisticsEstimator(namm.features.channels) for _ in range(layers)]
    recorder = FeatureRecorder(namm.features, by_layer)
    agent = CacheAgent(player.body, recorder, update_every=config.update_every, protect_recent=config.protect_recent)
    seeds = range(ESTIMATION_SEED, ESTIMATION_SEED + config.estimation_episodes)
    episodes = list(
        rollout(player.make, agent, seeds, player.target, max_steps=config.max_steps, batch=config.batch, told=told)
    )
    if not any(episode.length for episode in episodes):
        raise DataError(f"{player.label}: no episode to estimate feature statistics from ({episodes[0].message})")
    source = f"estimated on {player.label}, {config.estimation_episodes} episodes with full memory"
    pooled = StatisticsEstimator(namm.features.channels)
    for each in by_layer:
        pooled.merge(each)
    return [
        pooled.result(source),
        *(each.result(f"{source}, layer {number}") for number, each in enumerate(by_layer)),
    ]


def use_statistics(namm: Namm, statistics: list[FeatureStatistics], *, by_layer: bool) -> Namm | ByLayer:
    """The same policy with what `estimate_on` found."""
    if not by_layer:
        return namm.with_statistics(statistics[0])
    first, *others = (namm.with_statistics(each) for each in statistics[1:])
    return ByLayer(first, tuple(others))
