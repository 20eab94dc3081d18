"""Workers as actors of a Ray cluster, on as many machines as there are."""

import os
import pickle
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from namm_xmodal.errors import WorkerError
from namm_xmodal.extras import need
from namm_xmodal.workers.messages import Failure, Lost, Message, Respondent
from namm_xmodal.workers.pool import SILENCE, Pool

_PATIENCE = 20.0
"""Seconds for Ray itself to answer; it does not if its own processes were killed."""


def ray_pool(
    make: Callable[[], Any],
    workers: int,
    *,
    address: str | None = None,
    num_gpus: float = 0.0,
    num_cpus: float = 1.0,
    retries: int = 2,
    silence: float = SILENCE,
) -> Pool:
    """A pool of Ray actors; the package must be installed on every node.

    Args:
        make: Called once in each actor, and makes what tasks are given; picklable.
        workers: Number of actors. Those for which the cluster has no room wait, the others work.
        address: `auto` or a cluster's address; absent: the `RAY_ADDRESS` of the environment, else a new local Ray.
        num_gpus: GPUs of each actor: 1, or a fraction such as 0.5 to put two on one GPU.
        num_cpus: Cores of each actor, which is also its number of threads.
        retries: See `Pool`.
        silence: See `Pool`.

    Raises:
        MissingDependencyError: If ray is not installed.
        ConfigError: If a number is out of range.
    """
    need("ray", "a Ray cluster")
    options = {"num_gpus": num_gpus, "num_cpus": num_cpus, "max_restarts": 0, "max_task_retries": 0}
    return Pool(partial(RayCrew, make, address, options), workers, retries=retries, silence=silence)


class RayCrew:
    """Ray actors. Lost actors are replaced by the pool and not by Ray, which would also repeat what has been lost twice."""

    def __init__(self, make: Callable[[], Any], address: str | None, options: dict[str, Any]) -> None:
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
                raise WorkerError(f"no Ray cluster at {address or 'this machine'}: {_line(error)}") from None
        self._node = ray.get_runtime_context().get_node_id()
        self._actor = ray.remote(Respondent).options(**options)
        # Unpacked by the actor, not by Ray: what cannot be imported over there is then an error of its own.
        self._make = ray.cloudpickle.dumps(make)
        self._actors: dict[str, Any] = {}
        self._running: dict[Any, str] = {}
        self._started = 0

    def start(self) -> str:
        """See `Crew`."""
        self._check_node()
        self._started += 1
        name = f"actor {self._started}"
        self._actors[name] = self._actor.remote()
        self._running[self._actors[name].respond.remote(self._make)] = name
        return name

    def send(self, name: str, call: Callable[[Any], Any]) -> bool:
        """See `Crew`; a dead actor is heard of in `wait`."""
        self._running[self._actors[name].respond.remote(self._ray.cloudpickle.dumps(call))] = name
        return True

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        """See `Crew`."""
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        if not ready:
            self._check_node()
        return [(name, self._read(name, reference)) for reference in ready for name in [self._running.pop(reference)]]

    def stop(self, name: str) -> None:
        """See `Crew`."""
        actor = self._actors.pop(name)
        self._running = {reference: other for reference, other in self._running.items() if other != name}
        _answered(lambda: self._ray.kill(actor))

    def close(self) -> None:
        """See `Crew`; a Ray that was running before stays up."""
        actors, self._actors, self._running = self._actors, {}, {}
        _answered(lambda: [self._ray.kill(actor) for actor in actors.values()])
        if self._ours:
            _answered(self._ray.shutdown)

    def _read(self, name: str, reference: Any) -> Message:
        try:
            message: Message = pickle.loads(self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:  # outside of our own code
            return Failure(WorkerError(f"in an actor: {_line(error.cause)}"))
        except self._ray.exceptions.RayError as error:
            self._actors.pop(name, None)
            return Lost(_line(error))
        except Exception as error:
            return Failure(WorkerError(f"the answer of {name} cannot be read here ({type(error).__name__}: {error})"))
        return message

    def _check_node(self) -> None:
        """Refuses to wait if Ray's process on this machine (the raylet) is dead."""
        nodes: list[Any] = []
        answered = _answered(lambda: nodes.extend(self._ray.nodes()))
        if not answered or any(node["NodeID"] == self._node and not node["Alive"] for node in nodes):
            raise WorkerError(
                "Ray on this machine is dead (its raylet or head process was killed, perhaps for lack of memory); "
                "partial results are saved, restart Ray and run the command again to resume"
            )


def _answered(question: Callable[[], Any]) -> bool:
    """Whether Ray answers a question in time."""
    if sys.is_finalizing():  # no thread starts any more; Ray has ended itself
        return True
    asked = threading.Thread(target=question, daemon=True)
    asked.start()
    asked.join(_PATIENCE)
    return not asked.is_alive()


def _line(error: BaseException) -> str:
    """The first line of what Ray says, which is often a page."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
