"""One generation: shards in the journal are reused, the others are evaluated."""

import time

from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.arrays import Array, digest
from namm_xmodal.evolution.evaluators.evaluator import Evaluator
from namm_xmodal.evolution.events import Listener, Notice, ShardFinished
from namm_xmodal.evolution.fitness import Fitness, aggregate
from namm_xmodal.evolution.generation import Generation, describe_fitness
from namm_xmodal.evolution.journal import Journal
from namm_xmodal.evolution.objective import Shard, ShardResult
from namm_xmodal.evolution.shard_line import ShardLine
from namm_xmodal.evolution.size_pressure import SizePressure
from namm_xmodal.evolution.strategy import Strategy
from namm_xmodal.evolution.watch import Watch


class Step:
    """Runs generations; holds the size weight and the watch."""

    def __init__(
        self, strategy: Strategy, evaluator: Evaluator, pressure: SizePressure, journal: Journal, emit: Listener
    ) -> None:
        """Restores the state from the journal.

        Args:
            strategy: Already in the state after the journal's generations.
            evaluator: Where shards are scored.
            pressure: Schedule of the size weight.
            journal: Gets a line per shard and per generation.
            emit: Called with each event.
        """
        self._strategy = strategy
        self._evaluator = evaluator
        self._pressure = pressure
        self._journal = journal
        self._emit = emit
        self._watch = Watch()
        self._weight = pressure.first
        for past in journal.record.generations:  # both are functions of the generations before, so a resume is exact
            self._watch.look(past.score, past.kept, past.agreement, past.weight)
            self._weight = pressure.after(past.generation, past.weight, past.score)

    def run(self) -> Generation:
        """Runs the next generation and records it.

        Raises:
            EvolutionError: If the journal's shards are not this generation's, or a line cannot be written.
        """
        number = len(self._journal.record.generations)
        clock = _Clock()
        members = self._strategy.ask()
        clock.lap("ask")
        shards = self._evaluator.shards(number)
        if not shards:
            raise EvolutionError(f"generation {number} has no shards; expected at least one task with one sample")
        clock.lap("plan")
        results = self._evaluate(number, members, shards)
        clock.lap("evaluate")
        fitness = aggregate(shards, results, self._weight, number)
        self._strategy.tell(members, fitness.values)
        clock.lap("tell")
        for result in results:
            for part, value in result.seconds.items():
                clock.add(f"worker/{part}", value)
        finished = self._write(number, members, fitness, len(members) * sum(len(s.samples) for s in shards), clock)
        self._weight = self._pressure.after(number, self._weight, fitness.score)
        return finished

    def _evaluate(self, number: int, members: Array, shards: list[Shard]) -> list[ShardResult]:
        """Results of all shards, in their order."""
        fingerprint = digest(members)
        results: dict[int, ShardResult] = {}
        for index, line in self._journal.record.pending.items():
            if line.members != fingerprint or index >= len(shards) or line.shard != shards[index]:
                raise EvolutionError(
                    f"{self._journal.path}: shard {index} of generation {number} ({line.shard.label}) has other "
                    "members or samples than this run; resume with the configuration and versions named in its first line"
                )
            results[index] = line.result
        missing = [index for index in range(len(shards)) if index not in results]
        if missing:
            for done in self._evaluator.evaluate(members, [shards[index] for index in missing]):
                index = missing[done.index]
                result = done.result.check(len(members), shards[index])
                self._journal.append(ShardLine(number, index, shards[index], fingerprint, result, done.worker))
                results[index] = result
                self._emit(ShardFinished(number, len(results), len(shards), shards[index].label, done.worker))
        return [results[index] for index in range(len(shards))]

    def _write(self, number: int, members: Array, fitness: Fitness, evaluations: int, clock: "_Clock") -> Generation:
        described = describe_fitness(fitness)
        said = self._watch.look(fitness.score, described["kept"], fitness.agreement, self._weight)
        finished = Generation(
            generation=number,
            members=digest(members),
            mean=digest(self._strategy.mean),
            sigma=self._strategy.sigma,
            weight=self._weight,
            collapsed=self._watch.collapsed,
            evaluations=evaluations,
            seconds=clock.seconds,
            **described,
        )
        self._journal.append(finished)
        if fitness.failed:
            which = ", ".join(map(str, fitness.failed))
            said.append(f"no finite score for {len(fitness.failed)} of {len(members)} members ({which}): ranked last")
        if fitness.skipped:
            said.append(f"left out {', '.join(fitness.skipped)}: the base model scores 0 on all of its samples")
        for line in said:
            self._emit(Notice(f"generation {number}: {line}"))
        return finished


class _Clock:
    """Wall time by part, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.add(part, now - self._since)
        self._since = now

    def add(self, part: str, seconds: float) -> None:
        self.seconds[part] = round(self.seconds.get(part, 0.0) + seconds, 6)
