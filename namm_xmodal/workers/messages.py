"""The messages between a pool and its workers, and the loop that runs in a worker."""

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from namm_xmodal.errors import NammError, WorkerError


@dataclass(frozen=True)
class Task:
    """A piece of work.

    Attributes:
        what: What it is, for messages.
        call: Does it, given the object that the worker made when it started; picklable, as is what it returns.
    """

    what: str
    call: Callable[[Any], Any]


@dataclass(frozen=True)
class Answer:
    """A worker is ready (its first answer, without content) or has done its task."""

    content: Any = None


@dataclass(frozen=True)
class Failure:
    """The work itself raised an error: trying it elsewhere would not help."""

    error: NammError


@dataclass(frozen=True)
class Lost:
    """A worker is lost: it died, or was killed because it did not answer.

    Attributes:
        reason: What is known, and what may help.
        silent: Whether its time was over.
    """

    reason: str
    silent: bool = False


Message = Answer | Failure | Lost


class Respondent:
    """Lives in a worker. The first call that it is sent makes the worker's object, all others are given that object."""

    def __init__(self) -> None:
        self._made: tuple[Any, ...] = ()

    def respond(self, call: bytes) -> bytes:
        """Does one pickled call; the answer or the error, pickled."""
        try:
            result = pickle.loads(call)(*self._made)
            if not self._made:
                self._made, result = (result,), None
            return pickle.dumps(Answer(result))
        except Exception as error:
            return pickle.dumps(Failure(_portable(error)))


def _portable(error: Exception) -> NammError:
    """The error as one line that can be pickled; a fault of the program keeps its place, and its traceback as a note."""
    if isinstance(error, NammError):
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # a class or a field of the user's own
            return NammError(str(error))
        return error
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    portable = WorkerError(f"in a worker: {type(error).__name__}: {' '.join(str(error).split())}{place}")
    portable.add_note("".join(traceback.format_exception(error)))
    return portable
