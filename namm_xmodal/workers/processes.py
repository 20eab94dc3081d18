"""Workers as processes of this machine."""

import multiprocessing
import os
import pickle
import queue
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from namm_xmodal.errors import WorkerError
from namm_xmodal.workers.messages import Failure, Lost, Message, Respondent
from namm_xmodal.workers.pool import SILENCE, Pool

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE = 5.0
"""Seconds for a process to end once it has closed its pipe or was killed."""


def process_pool(
    make: Callable[[], Any], workers: int, *, threads: int | None = None, retries: int = 2, silence: float = SILENCE
) -> Pool:
    """A pool of local processes; a script that uses it needs an `if __name__ == "__main__"` guard.

    Args:
        make: Called once in each process, and makes what tasks are given; picklable, so at the top of a module.
        workers: See `Pool`.
        threads: Threads of each; as many as the libraries choose if absent.
        retries: See `Pool`.
        silence: See `Pool`.

    Raises:
        ConfigError: If a number is out of range.
    """
    return Pool(partial(ProcessCrew, make, threads), workers, retries=retries, silence=silence)


@dataclass(frozen=True)
class _Worker:
    """A process, and what it is to be sent; None ends the thread that talks to it."""

    process: BaseProcess
    calls: "queue.SimpleQueue[bytes | None]" = field(default_factory=queue.SimpleQueue)


class ProcessCrew:
    """Processes, each with a pipe and a thread that talks to it.

    One that hangs in the middle of a message blocks its thread only, until it is killed.
    """

    def __init__(self, make: Callable[[], Any], threads: int | None) -> None:
        self._make = _pickled(make)
        self._threads = threads
        self._context = multiprocessing.get_context("spawn")  # fork would copy threads and locks in any state
        self._workers: dict[str, _Worker] = {}
        # At exit too, and before multiprocessing, which would wait forever for a worker that is stopped.
        weakref.finalize(self, _kill, self._workers)
        self._answers: queue.SimpleQueue[tuple[str, bytes | None]] = queue.SimpleQueue()
        self._started = 0

    def start(self) -> str:
        """See `Crew`."""
        ours, theirs = self._context.Pipe()
        process: BaseProcess = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        try:
            with _environment(self._threads), _ignore_sigint():
                process.start()
        except (OSError, AssertionError) as error:  # no memory; or inside a process that may have no children
            raise WorkerError(f"a worker process cannot be started ({error}); use fewer workers, or one") from None
        theirs.close()
        self._started += 1
        name = f"process {self._started}"
        worker = self._workers[name] = _Worker(process)
        worker.calls.put(self._make)
        threading.Thread(target=_talk, args=(name, ours, worker.calls, self._answers), daemon=True).start()
        return name

    def send(self, name: str, call: Callable[[Any], Any]) -> bool:
        """See `Crew`."""
        payload = _pickled(call)
        if not self._workers[name].process.is_alive():
            self.stop(name)
            return False
        self._workers[name].calls.put(payload)
        return True

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        """See `Crew`."""
        messages: list[tuple[str, Message]] = []
        try:
            name, answer = self._answers.get(timeout=seconds)
            while True:
                if name in self._workers:  # else it was stopped
                    messages.append((name, self._lost(name) if answer is None else _read(name, answer)))
                name, answer = self._answers.get_nowait()
        except queue.Empty:
            return messages

    def stop(self, name: str) -> None:
        """See `Crew`."""
        worker = self._workers.pop(name)
        worker.process.kill()
        worker.calls.put(None)
        worker.process.join(_PATIENCE)

    def close(self) -> None:
        """See `Crew`."""
        _kill(self._workers)
        for name in list(self._workers):
            self.stop(name)

    def _lost(self, name: str) -> Lost:
        process = self._workers[name].process
        process.join(_PATIENCE)
        code = process.exitcode
        self.stop(name)
        hint = ", usually a lack of memory: use fewer workers" if code == -signal.SIGKILL else ""
        return Lost(f"exit code {code}{hint}")


def _kill(workers: dict[str, _Worker]) -> None:
    for worker in workers.values():
        worker.process.kill()


def _talk(
    name: str,
    connection: Connection,
    calls: "queue.SimpleQueue[bytes | None]",
    answers: "queue.SimpleQueue[tuple[str, bytes | None]]",
) -> None:
    """Runs in a thread of the parent: sends a call, waits for its answer, and so on; None says that the worker is gone."""
    with connection:
        try:
            while (call := calls.get()) is not None:
                connection.send_bytes(call)
                answers.put((name, connection.recv_bytes()))
        except (OSError, EOFError):
            answers.put((name, None))


def _read(name: str, answer: bytes) -> Message:
    try:
        message: Message = pickle.loads(answer)
    except Exception as error:
        return Failure(WorkerError(f"the answer of {name} cannot be read here ({type(error).__name__}: {error})"))
    return message


def _pickled(call: Callable[..., Any]) -> bytes:
    # Not by multiprocessing's own pickler: torch teaches that one to share memory, which ends with the worker.
    try:
        return pickle.dumps(call)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise WorkerError(f"work cannot be sent to a process ({error}); define it at the top of a module") from None


def _serve(connection: Connection) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent decides what it means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    respondent = Respondent()
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            connection.send_bytes(respondent.respond(connection.recv_bytes()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _ignore_sigint() -> Iterator[None]:
    """A process started in here ignores Ctrl-C from its first instruction on."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:  # only there handlers may change
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _environment(threads: int | None) -> Iterator[None]:
    """Thread counts for a child: libraries read them once, when they are imported."""
    before = {name: os.environ.get(name) for name in THREADS}
    if threads is not None:
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
