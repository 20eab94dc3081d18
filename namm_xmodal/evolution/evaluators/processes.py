"""Evaluation in local processes, each with an objective and a thread of its own."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pickle import PicklingError

from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.evaluators.crew import CrewEvaluator
from namm_xmodal.evolution.evaluators.worker import Answer, Death, Failure, Message, Work, do, portable
from namm_xmodal.evolution.objective import ObjectiveFactory

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def processes(factory: ObjectiveFactory, workers: int, *, threads: int = 1, retries: int = 2) -> CrewEvaluator:
    """An evaluator over local processes; a script that uses it needs an `if __name__ == "__main__"` guard.

    Args:
        factory: Sent to each process and called there once; must be picklable.
        workers: Number of processes, at least 1.
        threads: Threads of each; sums of floats depend on it, so a run should keep to one number.
        retries: How often a shard may outlive its worker.

    Raises:
        ConfigError: If a number is out of range.
    """
    return CrewEvaluator(partial(ProcessCrew, factory, threads), workers, retries)


class ProcessCrew:
    """Processes, each at the other end of a pipe."""

    def __init__(self, factory: ObjectiveFactory, threads: int) -> None:
        self._factory = factory
        self._threads = threads
        self._context = multiprocessing.get_context("spawn")  # fork would copy threads and locks in any state
        self._workers: dict[str, tuple[Connection, BaseProcess]] = {}
        self._started = 0

    def start(self) -> str:
        """See `Crew`."""
        ours, theirs = self._context.Pipe()
        process: BaseProcess = self._context.Process(target=_serve, args=(theirs, self._factory), daemon=True)
        try:
            with _environment(self._threads):
                process.start()
        except (PicklingError, AttributeError, TypeError) as error:
            raise EvolutionError(
                f"the objective's factory cannot be sent to a process ({error}); define it at the top of a module"
            ) from None
        theirs.close()
        self._started += 1
        name = f"process {self._started}"
        self._workers[name] = (ours, process)
        return name

    def send(self, name: str, work: Work) -> None:
        """See `Crew`."""
        try:
            self._workers[name][0].send(work)
        except OSError:
            return  # it died while idle: its pipe is at its end, which `wait` reports

    def wait(self) -> list[tuple[str, Message]]:
        """See `Crew`."""
        names = {connection: name for name, (connection, _) in self._workers.items()}
        messages: list[tuple[str, Message]] = []
        for ready in wait(list(names)):
            assert isinstance(ready, Connection)
            try:
                messages.append((names[ready], ready.recv()))
            except (EOFError, OSError):
                messages.append((names[ready], self._lost(names[ready])))
        return messages

    def close(self) -> None:
        """See `Crew`."""
        for _, process in self._workers.values():
            process.terminate()
        for connection, process in self._workers.values():
            process.join()
            connection.close()
        self._workers = {}

    def _lost(self, name: str) -> Death:
        connection, process = self._workers.pop(name)
        process.join()
        connection.close()
        hint = ", usually a lack of memory" if process.exitcode == -signal.SIGKILL else ""
        return Death(f"exit code {process.exitcode}{hint}")


def _serve(connection: Connection, factory: ObjectiveFactory) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent decides what it means
    try:
        try:
            objective = factory.build()
        except Exception as error:
            connection.send(Failure(portable(error)))
            return
        connection.send(Answer())
        while True:
            connection.send(do(objective, connection.recv()))
    except (BrokenPipeError, EOFError):
        return  # the parent is gone


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Thread counts for a child: libraries read them once, when they are imported."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
