"""Evaluation on a Ray cluster: actors that load the model once, on as many machines as there are."""

from namm_xmodal.evolution.evaluators.processes import PoolEvaluator
from namm_xmodal.evolution.objective import ObjectiveFactory
from namm_xmodal.workers.pool import SILENCE
from namm_xmodal.workers.ray_actors import ray_pool


def ray_cluster(
    factory: ObjectiveFactory,
    workers: int,
    *,
    address: str | None = None,
    num_gpus: float = 0.0,
    num_cpus: float = 1.0,
    retries: int = 2,
    silence: float = SILENCE,
) -> PoolEvaluator:
    """An evaluator over Ray actors; see `ray_pool` for the arguments beside the factory.

    Raises:
        MissingDependencyError: If ray is not installed.
        ConfigError: If a number is out of range.
    """
    return PoolEvaluator(
        ray_pool(
            factory.build,
            workers,
            address=address,
            num_gpus=num_gpus,
            num_cpus=num_cpus,
            retries=retries,
            silence=silence,
        )
    )
