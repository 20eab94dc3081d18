"""A cheap objective: samples are points, a member scores by its distance to them, and `kept` by its first number."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from namm_xmodal.errors import DataError
from namm_xmodal.evolution.evaluators.in_process import InProcess
from namm_xmodal.evolution.events import Notice
from namm_xmodal.evolution.objective import Shard, ShardResult
from namm_xmodal.evolution.run import RunSettings, evolve
from namm_xmodal.evolution.size_pressure import SizePressure
from namm_xmodal.evolution.table import build_strategy

N = 12


@dataclass(frozen=True)
class ToyFactory:
    """Sent to workers. `trouble` happens on shards of task b: with a marker file once, without always."""

    seed: int = 0
    seconds: float = 0.0
    trouble: str = ""
    marker: str = ""
    tasks: tuple[str, ...] = ("a", "b")
    samples: int = 4

    def build(self):
        if self.trouble == "unborn":
            os._exit(3)
        return Toy(self)


class Toy:
    def __init__(self, factory):
        self.factory = factory

    def shards(self, generation):
        rng = np.random.default_rng([self.factory.seed, generation])
        samples = self.factory.samples
        return [Shard(task, tuple(rng.integers(0, 1000, samples).tolist())) for task in self.factory.tasks]

    def evaluate(self, members, shard):
        self._trouble(shard)
        time.sleep(self.factory.seconds)
        points = np.stack([np.random.default_rng(seed).normal(0.5, 0.1, members.shape[1]) for seed in shard.samples])
        distance = np.square(members[:, None] - points).mean(axis=2)  # (P, n)
        scores = np.exp(-distance)
        if self.factory.trouble == "nan":
            scores[2, 0] = np.nan
        kept = 1 / (1 + np.exp(-members[:, :1] - 0 * distance))
        base = np.zeros(len(points)) if self.factory.trouble == "no base" else np.full(len(points), 0.8)
        return ShardResult(scores, base, kept, {"model": 0.001})

    def _trouble(self, shard):
        if shard.task != "b" or not self.factory.trouble:
            return
        if self.factory.trouble == "user":
            raise DataError("a line for the user")
        if self.factory.trouble == "bug":
            raise ZeroDivisionError("ours")
        if self.factory.trouble in ("die", "stop"):
            if self.factory.marker:
                if Path(self.factory.marker).exists():
                    return
                Path(self.factory.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL if self.factory.trouble == "die" else signal.SIGSTOP)


PRESSURE = SizePressure("constrained", weight=0.4, start=0.1, floor=0.9, step=0.02)


def strategy(name="cma", **options):
    return build_strategy(name, np.zeros(N), **{"population": 6, "seed": 1, **options})


def settings(generations=5, **fields):
    return RunSettings(generations, **{"config": "abc", "pressure": PRESSURE, **fields})


def run(folder, *, generations=5, factory=None, resume=False, plan=None, name="cma", listeners=(), options=None):
    return evolve(
        strategy(name, **(options or {})),
        InProcess(factory or ToyFactory()),
        plan or settings(generations),
        folder,
        resume=resume,
        listeners=listeners,
    )


def notices(events):
    return [event.text for event in events if isinstance(event, Notice)]
