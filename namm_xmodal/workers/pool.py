"""A pool of workers that take tasks from one queue; the task of a lost worker goes back into it.

Own code because the libraries for it were tried and fall short. pebble 5.2 sends everything through one shared pipe: a
worker killed or stopped while it sends blocks all others and outlives its time limit; one killed while idle breaks the
pool, and the start of a worker has no limit. loky 3.7 has no time limits, and one death fails all that is pending.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from namm_xmodal.errors import ConfigError, WorkerError
from namm_xmodal.workers.messages import Answer, Failure, Lost, Message, Task

SILENCE = 1800.0
"""Default number of seconds after which a silent worker is given up."""
START = 120.0
"""Seconds that the start of a worker may take at least: imports and models are not part of a task."""


class Crew(Protocol):
    """Workers of one kind, known by name. A worker answers once when it is ready and once for each task."""

    def start(self) -> str:
        """Starts a worker; its name."""

    def send(self, name: str, call: Callable[[Any], Any]) -> bool:
        """Gives a worker that waits its next task; False if it died in the meantime."""

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        """What was heard within some seconds, perhaps nothing; a worker that died is reported once and is gone."""

    def stop(self, name: str) -> None:
        """Ends a worker whatever it does; nothing is heard of it afterwards."""

    def close(self) -> None:
        """Ends all workers."""


@dataclass(frozen=True)
class Done:
    """A finished task: its place among those given, what it returned, and which worker did it."""

    index: int
    content: Any
    worker: str


def give_up(task: Task, losses: int, last: Lost) -> Any:
    """By default, a task that lost too many workers ends the run."""
    raise WorkerError(
        f"{task.what}: lost {losses} workers ({last.reason}); partial results are saved, run the command again to resume"
    )


class Pool:
    """Workers that are started when needed and stay until `close`, each with what it loaded.

    Work goes to whoever is free. Which worker does a task does not change its result.
    """

    def __init__(
        self, open_crew: Callable[[], Crew], workers: int, *, retries: int = 2, silence: float = SILENCE
    ) -> None:
        """Remembers how to open the crew; it is opened at first use.

        Args:
            open_crew: Makes the crew.
            workers: Maximum number of workers, at least 1.
            retries: How often a task is retried after losing its worker, and a worker replaced before it is ready.
            silence: Seconds without an answer after which a worker is killed and its task given to another. Only time
                that the pool spends waiting counts, so a stopped run (Ctrl-Z) can continue.

        Raises:
            ConfigError: If a number is out of range.
        """
        if workers < 1:
            raise ConfigError(f"workers={workers}: expected at least 1")
        if retries < 0:
            raise ConfigError(f"retries={retries}: expected 0 or more")
        if not silence > 0:
            raise ConfigError(f"silence={silence}: expected a number of seconds above 0")
        self._open_crew, self._workers, self._retries, self._silence = open_crew, workers, retries, silence
        self._crew: Crew | None = None
        self._reset()

    def run(
        self,
        tasks: Sequence[Task],
        *,
        ahead: int | None = None,
        lost: Callable[[Task, int, Lost], Any] = give_up,
    ) -> Iterator[Done]:
        """Does all tasks. Leaving early ends the workers, since answers still to come would belong to nobody.

        Args:
            tasks: The work.
            ahead: Results come in the order of the tasks, and at most so many tasks (and one for each worker at least)
                are begun whose results were not taken yet. Absent: as they are finished.
            lost: Called with a task that cost more than `retries` workers, their number and the last loss; what it
                returns is the task's result.

        Raises:
            WorkerError: If workers are lost again and again.
            NammError: What the work raised.
        """
        crew = self._crew = self._crew or self._open_crew()
        waiting = list(reversed(range(len(tasks))))
        losses = [0] * len(tasks)
        done: dict[int, Done] = {}
        window = len(tasks) if ahead is None else max(ahead, self._workers)
        taken = 0
        try:
            while taken < len(tasks):
                self._assign(crew, tasks, waiting, min(len(waiting), window - len(done) - len(self._busy)))
                ready = next(iter(done), None) if ahead is None else taken
                if ready in done:
                    taken += 1
                    yield done.pop(ready)
                    continue
                for name, message in self._wait(crew):
                    if isinstance(message, Failure):
                        raise message.error
                    index = self._busy.pop(name, None)
                    self._since.pop(name, None)
                    if isinstance(message, Answer):
                        self._idle.append(name)
                        if index is not None:
                            self._failed_starts = 0
                            done[index] = Done(index, message.content, name)
                    elif index is None:
                        self._count_failed_start(message)
                    else:
                        losses[index] += 1
                        if losses[index] > self._retries:
                            done[index] = Done(index, lost(tasks[index], losses[index], message), name)
                        else:
                            waiting.append(index)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends all workers; may be called twice, and the pool used again."""
        if self._crew is not None:
            self._crew.close()
        self._crew = None
        self._reset()

    def _reset(self) -> None:
        self._idle: list[str] = []
        self._busy: dict[str, int] = {}
        self._since: dict[str, float] = {}  # of those that owe an answer, the busy and the starting: when it began
        self._failed_starts = 0  # workers lost without work since the last result
        self._clock = 0.0  # seconds spent waiting
        self._heard = 0.0  # when the last message came

    def _assign(self, crew: Crew, tasks: Sequence[Task], waiting: list[int], count: int) -> None:
        """Gives out up to `count` tasks; starts workers if there are fewer than there is work for."""
        while count and self._idle:
            name, index = self._idle.pop(), waiting.pop()
            if crew.send(name, tasks[index].call):
                self._busy[name] = index
                self._since[name] = self._clock
                count -= 1
            else:
                waiting.append(index)
                self._count_failed_start(Lost("it died while waiting for work"))
        for _ in range(min(self._workers - len(self._busy), count) - (len(self._since) - len(self._busy))):
            self._since[crew.start()] = self._clock

    def _wait(self, crew: Crew) -> list[tuple[str, Message]]:
        """Listens for a moment, then ends those whose time is over."""
        moment = min(1.0, self._silence / 4)
        before = time.monotonic()
        messages = crew.wait(moment)
        # Much more than a moment passes only while this process itself is stopped or suspended, and workers with it.
        self._clock += min(time.monotonic() - before, moment)
        if messages:
            self._heard = self._clock
        heard = {name for name, _ in messages}
        for name, since in self._since.items():
            limit = self._silence
            if name not in self._busy:  # may wait for room on a cluster as long as others are at work
                limit, since = max(limit, START), max(since, self._heard)
            if name not in heard and self._clock - since > limit:
                crew.stop(name)
                reason = f"no answer for {limit:g} s: stopped or hanging; raise `silence` if the work takes longer"
                messages.append((name, Lost(reason, silent=True)))
        return messages

    def _count_failed_start(self, last: Lost) -> None:
        self._failed_starts += 1
        if self._failed_starts > self._retries * self._workers:
            raise WorkerError(
                f"{self._failed_starts} workers in a row were lost before they had work ({last.reason}); check their "
                "output, give them more memory or use fewer workers; partial results are saved"
            )
