"""Episodes that the model plays with a full cache, to fit a NAMM.

No label and no reward is asked: nothing is chosen by how an episode ended. (With a target that counts down, rewards reach
the model as its own input, as in any rollout.)
"""

from collections.abc import Callable

from namm_xmodal.agents import CacheAgent
from namm_xmodal.envs.rollout import rollout
from namm_xmodal.errors import DataError
from namm_xmodal.evaluation.fit import Inputs
from namm_xmodal.memory.statistics import FeatureRecorder
from namm_xmodal.modalities.rl.loaded_agents import LoadedAgent
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.watching import Noted
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.namm.statistics import FeatureStatistics, StatisticsEstimator

ESTIMATION_SEED = 90_000
"""Of the first episode that statistics come from; evaluations use others."""

CALIBRATION_SEED = 95_000
"""Of the first episode that thresholds come from."""


def estimate_on(
    loaded: LoadedAgent, namm: Namm, config: RlSection, on_progress: Callable[[int, int], None]
) -> list[FeatureStatistics]:
    """Statistics of a NAMM's features, one set for each layer, with a pooled set in front.

    Args:
        loaded: The model that plays.
        namm: Whose features.
        config: Decides the clock and the number of episodes.
        on_progress: Called with step and running episodes.

    Raises:
        DataError: If every episode failed before its first step.
    """
    layers = loaded.agent_model.model.config.n_layer
    if not namm.features.num_frozen:
        return [FeatureStatistics.identity(0)] * (1 + layers)
    by_layer = [StatisticsEstimator(namm.features.num_frozen) for _ in range(layers)]
    recorder = FeatureRecorder(namm.features, by_layer)
    agent = CacheAgent(
        loaded.agent_model, recorder, update_every=config.update_every, protect_recent=config.protect_recent
    )
    seeds = range(ESTIMATION_SEED, ESTIMATION_SEED + config.estimation_episodes)
    episodes = list(
        rollout(
            loaded.make,
            agent,
            seeds,
            loaded.target,
            max_steps=config.max_steps,
            batch=config.batch,
            on_progress=on_progress,
        )
    )
    if not any(episode.length for episode in episodes):
        raise DataError(f"{loaded.label}: no episode to estimate feature statistics from ({episodes[0].message})")
    source = f"estimated on {loaded.label}, {config.estimation_episodes} episodes with full memory"
    pooled = StatisticsEstimator(namm.features.num_frozen)
    for each in by_layer:
        pooled.merge(each)
    return [
        pooled.result(source),
        *(each.result(f"{source}, layer {number}") for number, each in enumerate(by_layer)),
    ]


def full_memory_inputs(
    loaded: LoadedAgent,
    section: RlSection,
    on_progress: Callable[[int, int], None] = lambda step, running: None,
    first: int = CALIBRATION_SEED,
) -> list[Inputs]:
    """Embedded tokens of episodes that the model plays with everything in memory, (1, T, hidden_size) each.

    They are other episodes than those that statistics come from and than those that are evaluated.

    Args:
        loaded: The model that plays.
        section: Decides the number of episodes and their longest length.
        on_progress: Called with step and running episodes.
        first: Seed of the first episode.

    Raises:
        DataError: If every episode failed before its first step.
    """
    recorder = Noted(CacheAgent(loaded.agent_model, None, update_every=section.update_every), loaded.agent_model)
    seeds = range(first, first + section.estimation_episodes)
    steps = section.max_steps
    episodes = list(
        rollout(loaded.make, recorder, seeds, loaded.target, max_steps=steps, batch=1, on_progress=on_progress)
    )
    if not recorder.inputs:
        raise DataError(f"{loaded.label}: no episode with a step in it ({episodes[0].message})")
    return recorder.inputs
