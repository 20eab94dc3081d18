"""Evaluation on a Ray cluster: actors that load the model once, on as many machines as there are."""

import os
from functools import partial
from typing import Any

from namm_xmodal.errors import EvolutionError, MissingDependencyError
from namm_xmodal.evolution.evaluators.crew import CrewEvaluator
from namm_xmodal.evolution.evaluators.worker import Answer, Death, Failure, Message, Work, do, portable
from namm_xmodal.evolution.objective import Objective, ObjectiveFactory


def ray_cluster(
    factory: ObjectiveFactory,
    workers: int,
    *,
    address: str | None = None,
    num_gpus: float = 0.0,
    num_cpus: float = 1.0,
    retries: int = 2,
) -> CrewEvaluator:
    """An evaluator over Ray actors; the package must be installed on every node.

    Args:
        factory: Sent to each actor and called there once; must be picklable.
        workers: Number of actors, at least 1. Those for which the cluster has no room wait, the others work.
        address: `auto` or a cluster's address; absent: the `RAY_ADDRESS` of the environment, else a new local Ray.
        num_gpus: GPUs of each actor: 1, or a fraction such as 0.5 to put two on one GPU.
        num_cpus: Cores of each actor, which is also its number of threads.
        retries: How often a shard may outlive its actor.

    Raises:
        MissingDependencyError: If ray is not installed.
        ConfigError: If a number is out of range.
    """
    try:
        import ray  # noqa: F401
    except ImportError:
        raise MissingDependencyError("evaluation on a Ray cluster", "ray") from None
    options = {"num_gpus": num_gpus, "num_cpus": num_cpus, "max_restarts": 0, "max_task_retries": 0}
    return CrewEvaluator(partial(RayCrew, factory, address, options), workers, retries)


class RayCrew:
    """Ray actors. Deaths are mended by the evaluator and not by Ray, which would also repeat what has been lost twice."""

    def __init__(self, factory: ObjectiveFactory, address: str | None, options: dict[str, Any]) -> None:
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            local: dict[str, Any] = {}
            if address is None and "RAY_ADDRESS" not in os.environ:
                local = {"num_cpus": os.cpu_count(), "include_dashboard": False}
            try:
                ray.init(address=address, log_to_driver=False, logging_level="error", **local)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise EvolutionError(f"no Ray cluster at {address or 'this machine'}: {_line(error)}") from None
        self._actor = ray.remote(_Actor).options(**options)
        # Unpacked in `build`, not by Ray: what cannot be imported over there is then an error of its own.
        self._factory = ray.cloudpickle.dumps(factory)
        self._actors: dict[str, Any] = {}
        self._running: dict[Any, str] = {}
        self._started = 0

    def start(self) -> str:
        """See `Crew`."""
        self._started += 1
        name = f"actor {self._started}"
        self._actors[name] = self._actor.remote(self._factory)
        self._running[self._actors[name].build.remote()] = name
        return name

    def send(self, name: str, work: Work) -> None:
        """See `Crew`."""
        self._running[self._actors[name].do.remote(work)] = name

    def wait(self) -> list[tuple[str, Message]]:
        """See `Crew`."""
        ready, _ = self._ray.wait(list(self._running), num_returns=1)
        messages: list[tuple[str, Message]] = []
        for reference in ready:
            name = self._running.pop(reference)
            try:
                messages.append((name, self._ray.get(reference)))
            except self._ray.exceptions.RayTaskError as error:  # outside of our own code: a message that cannot travel
                messages.append((name, Failure(EvolutionError(f"in an actor: {_line(error.cause)}"))))
            except self._ray.exceptions.RayError as error:
                del self._actors[name]
                messages.append((name, Death(_line(error))))
        return messages

    def close(self) -> None:
        """See `Crew`; a Ray that was running before stays up."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors, self._running = {}, {}
        if self._ours:
            self._ray.shutdown()


class _Actor:
    """Lives on a node; `build` is a call of its own so that its errors come home as they are."""

    def __init__(self, factory: bytes) -> None:
        self._factory = factory
        self._objective: Objective | None = None

    def build(self) -> Answer | Failure:
        import pickle

        try:
            factory: ObjectiveFactory = pickle.loads(self._factory)
            self._objective = factory.build()
        except Exception as error:
            return Failure(portable(error))
        return Answer()

    def do(self, work: Work) -> Answer | Failure:
        assert self._objective is not None
        return do(self._objective, work)


def _line(error: BaseException) -> str:
    """The first line of what Ray says, which is often a page."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
