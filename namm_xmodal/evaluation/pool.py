"""Local worker processes, each with its own model, fed one piece of work at a time."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from namm_xmodal.errors import NammError, ResultsError


class Worker(Protocol):
    """What runs in a process: made there once, then given one piece of work after another."""

    def run(self, work: Any) -> Iterator[Any]:
        """Yields the results of one piece of work."""


def run_in_processes(make_worker: Callable[[], Worker], work: Sequence[Any], workers: int) -> Iterator[Any]:
    """Yields results as they come, from `workers` processes that pull from one queue.

    An error in a worker is raised here: the package's own errors as they are, so that the command line shows one line.
    Leaving the iteration early (an error, Ctrl-C) ends the processes.

    Args:
        make_worker: Called in each process; must be picklable.
        work: Pieces of work; picklable.
        workers: Number of processes.
    """
    context = multiprocessing.get_context("spawn")  # fork would copy torch's threads and locks in any state
    pending = list(reversed(work))
    processes: dict[Connection, BaseProcess] = {}
    try:
        for _ in range(min(workers, len(work))):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=_serve, args=(theirs, make_worker), daemon=True)
            with _deaf_to_ctrl_c():
                process.start()
            theirs.close()
            processes[ours] = process
        while processes:
            for ready in wait(list(processes)):
                assert isinstance(ready, Connection)
                yield from _step(ready, processes, pending)
    finally:
        for connection, process in processes.items():
            process.terminate()
            process.join()
            connection.close()


def _step(ready: Connection, processes: dict[Connection, BaseProcess], pending: list[Any]) -> Iterator[Any]:
    """Takes one message of a worker and answers it."""
    try:
        kind, content = ready.recv()
    except EOFError:
        process = processes[ready]
        process.join()
        raise ResultsError(
            f"a worker process ended by itself (exit code {process.exitcode}; -9 is usually a lack of memory); "
            "results so far are kept, run again with fewer --workers"
        ) from None
    if kind == "result":
        yield content
    elif kind == "error":
        raise content
    elif pending:  # ready for more
        ready.send(pending.pop())
    else:
        ready.send(None)
        processes.pop(ready).join()
        ready.close()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started in here ignore Ctrl-C from their first instruction on; the parent decides what it means."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may change handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(connection: Connection, make_worker: Callable[[], Worker]) -> None:
    """The life of a worker process."""
    try:
        worker = make_worker()
        while True:
            connection.send(("ready", None))
            work = connection.recv()
            if work is None:
                return
            for result in worker.run(work):
                connection.send(("result", result))
    except (BrokenPipeError, EOFError):
        return  # the parent is gone
    except NammError as error:
        connection.send(("error", _portable(error)))
    except Exception as error:
        import traceback

        connection.send(("error", RuntimeError(f"in a worker process: {error}\n{traceback.format_exc()}")))


def _portable(error: NammError) -> NammError:
    """The error in a form that survives pickling: some constructors take more than the message."""
    return NammError(str(error)) if "__init__" in vars(type(error)) else error
