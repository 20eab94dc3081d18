"""The life of a worker, whatever carries its messages: build the objective once, then do one piece of work at a time."""

from dataclasses import dataclass
from typing import Any

from namm_xmodal.errors import EvolutionError, NammError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.objective import Objective, Shard


@dataclass(frozen=True)
class Plan:
    """Work: the shards of a generation."""

    generation: int


@dataclass(frozen=True)
class Score:
    """Work: a population on one shard."""

    members: Array
    shard: Shard


Work = Plan | Score


@dataclass(frozen=True)
class Answer:
    """What a worker sends: `content` is None when it has built its objective, else the result of its work."""

    content: Any = None


@dataclass(frozen=True)
class Failure:
    """What a worker sends when the work itself raised: trying elsewhere would not help."""

    error: NammError


@dataclass(frozen=True)
class Death:
    """What is heard of a worker that is gone, and why."""

    reason: str


Message = Answer | Failure | Death


def do(objective: Objective, work: Work) -> Answer | Failure:
    """Does one piece of work; errors become messages."""
    try:
        if isinstance(work, Plan):
            return Answer(objective.shards(work.generation))
        return Answer(objective.evaluate(work.members, work.shard))
    except Exception as error:
        return Failure(portable(error))


def portable(error: Exception) -> NammError:
    """The error in a form that survives pickling, on one line; a bug keeps its place in the code."""
    if isinstance(error, NammError):
        plain = "__init__" not in vars(type(error))
        return error if plain else NammError(str(error))
    from traceback import extract_tb

    frames = extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    text = " ".join(str(error).split())
    return EvolutionError(f"in a worker: {type(error).__name__}: {text}{place}")
