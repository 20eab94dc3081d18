"""Evaluation by many workers: they pull from one queue, and whatever a dead one held goes back into it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from namm_xmodal.errors import ConfigError, EvolutionError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.evaluators.evaluator import Evaluated
from namm_xmodal.evolution.evaluators.worker import Death, Failure, Message, Plan, Score, Work
from namm_xmodal.evolution.objective import Shard


class Crew(Protocol):
    """Workers of one kind, known by name."""

    def start(self) -> str:
        """Starts a worker and returns its name; it answers None once its objective is built."""

    def send(self, name: str, work: Work) -> None:
        """Gives a worker its next piece of work."""

    def wait(self) -> list[tuple[str, Message]]:
        """Waits for at least one message; a worker that died says so once and is gone."""

    def close(self) -> None:
        """Ends all workers."""


class CrewEvaluator:
    """An evaluator over a crew.

    Work goes to whoever is free, so slow shards and late workers balance themselves. Which worker does a shard does not
    change its result: a shard is always scored whole, by one worker, with the same arguments.
    """

    def __init__(self, open_crew: Callable[[], Crew], workers: int, retries: int = 2) -> None:
        """Remembers how to open the crew; it is opened at first use.

        Args:
            open_crew: Makes the crew.
            workers: Number of workers, at least 1.
            retries: How often a piece of work may outlive its worker, and how many workers in a row may die before
                they are ready.

        Raises:
            ConfigError: If a number is out of range.
        """
        if workers < 1:
            raise ConfigError(f"workers={workers}: expected at least 1")
        if retries < 0:
            raise ConfigError(f"retries={retries}: expected 0 or more")
        self._open_crew = open_crew
        self._workers = workers
        self._retries = retries
        self._crew: Crew | None = None
        self._starting: set[str] = set()
        self._idle: list[str] = []
        self._stillborn = 0  # workers in a row that died before they were ready

    def shards(self, generation: int) -> list[Shard]:
        """See `Evaluator`."""
        for _, shards, _ in self._run([Plan(generation)]):
            planned: list[Shard] = shards
        return planned

    def evaluate(self, members: Array, shards: Sequence[Shard]) -> Iterator[Evaluated]:
        """See `Evaluator`."""
        for index, result, worker in self._run([Score(members, shard) for shard in shards]):
            yield Evaluated(index, result, worker)

    def close(self) -> None:
        """See `Evaluator`."""
        if self._crew is not None:
            self._crew.close()
        self._crew, self._starting, self._idle = None, set(), []

    def _run(self, works: Sequence[Work]) -> Iterator[tuple[int, Any, str]]:
        """Does all works; leaving early ends the crew, since answers still to come would belong to nobody."""
        crew = self._crew = self._crew or self._open_crew()
        waiting = list(reversed(range(len(works))))
        busy: dict[str, int] = {}
        deaths = [0] * len(works)
        try:
            while waiting or busy:
                self._hire(crew, min(self._workers, len(waiting) + len(busy)) - len(busy))
                while waiting and self._idle:
                    name = self._idle.pop()
                    busy[name] = waiting.pop()
                    crew.send(name, works[busy[name]])
                for name, message in crew.wait():
                    if isinstance(message, Failure):
                        raise message.error
                    if isinstance(message, Death):
                        lost = self._bury(name, message, busy, deaths)
                        waiting.extend(lost)
                        continue
                    self._idle.append(name)
                    self._starting.discard(name)
                    self._stillborn = 0
                    if name in busy:
                        yield busy.pop(name), message.content, name
        except BaseException:
            self.close()
            raise

    def _hire(self, crew: Crew, needed: int) -> None:
        for _ in range(needed - len(self._idle) - len(self._starting)):
            self._starting.add(crew.start())

    def _bury(self, name: str, message: Death, busy: dict[str, int], deaths: list[int]) -> list[int]:
        """Takes note of a death; returns the work to be done again."""
        self._starting.discard(name)
        if name in self._idle:
            self._idle.remove(name)
            return []
        if name not in busy:
            self._stillborn += 1
            if self._stillborn > self._retries:
                raise EvolutionError(
                    f"{self._stillborn} workers in a row died before they were ready ({message.reason}); "
                    "see their output, give them more memory or use fewer workers, then resume"
                )
            return []
        index = busy.pop(name)
        deaths[index] += 1
        if deaths[index] > self._retries:
            raise EvolutionError(
                f"a piece of work ended {deaths[index]} workers ({message.reason}); finished shards are kept, give the "
                "workers more memory or use fewer of them, then resume"
            )
        return [index]
