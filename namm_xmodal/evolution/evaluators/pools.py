"""Evaluation by a pool of workers, each with an objective of its own: local processes, or the actors of a Ray cluster."""

from collections.abc import Iterator, Sequence
from operator import methodcaller

from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.evaluators.evaluator import Evaluated
from namm_xmodal.evolution.objective import ObjectiveFactory, Shard
from namm_xmodal.workers.messages import Task
from namm_xmodal.workers.pool import SILENCE, Pool
from namm_xmodal.workers.processes import process_pool
from namm_xmodal.workers.ray_actors import ray_pool


def processes(
    factory: ObjectiveFactory, workers: int, *, threads: int = 1, retries: int = 2, silence: float = SILENCE
) -> "PoolEvaluator":
    """An evaluator over local processes; a script that uses it needs an `if __name__ == "__main__"` guard.

    Args:
        factory: Sent to each process and called there once; must be picklable.
        workers: Number of processes, at least 1.
        threads: Threads of each; sums of floats depend on it, so a run should keep to one number.
        retries: How often a shard may outlive its worker.
        silence: Seconds without an answer after which a worker is replaced.

    Raises:
        ConfigError: If a number is out of range.
    """
    return PoolEvaluator(process_pool(factory.build, workers, threads=threads, retries=retries, silence=silence))


def ray_cluster(
    factory: ObjectiveFactory,
    workers: int,
    *,
    address: str | None = None,
    num_gpus: float = 0.0,
    num_cpus: float = 1.0,
    retries: int = 2,
    silence: float = SILENCE,
) -> "PoolEvaluator":
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


class PoolEvaluator:
    """Which worker scores a shard does not change its result: it is scored whole, by one, with the same arguments."""

    def __init__(self, pool: Pool) -> None:
        """Takes a pool whose workers hold the objective."""
        self._pool = pool

    def shards(self, generation: int) -> list[Shard]:
        """See `Evaluator`."""
        (planned,) = self._pool.run([Task(f"the plan of generation {generation}", methodcaller("shards", generation))])
        found: list[Shard] = planned.content
        return found

    def evaluate(self, members: Array, shards: Sequence[Shard]) -> Iterator[Evaluated]:
        """See `Evaluator`."""
        tasks = [
            Task(f"{shard.label}, {len(shard.samples)} samples", methodcaller("evaluate", members, shard))
            for shard in shards
        ]
        for done in self._pool.run(tasks):
            yield Evaluated(done.index, done.content, done.worker)

    def close(self) -> None:
        """See `Evaluator`."""
        self._pool.close()
