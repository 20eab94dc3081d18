"""Runs a decoder in a process that can be killed."""

import multiprocessing
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from namm_xmodal.errors import CorruptVideoError, VideoError, VideoTimeoutError
from namm_xmodal.workers.messages import Lost, Task
from namm_xmodal.workers.processes import process_pool


def run_killable(function: Callable[..., Any], arguments: tuple[Any, ...], limit: float, what: str) -> Any:
    """`function(*arguments)`, in a process of its own unless this one is a worker, which is killed if it hangs.

    Args:
        function: At the top of a module, so that the process can import it.
        arguments: Picklable.
        limit: Seconds, the start of the process not included.
        what: The file, for messages.

    Raises:
        VideoTimeoutError: If the time was over; the process is dead.
        CorruptVideoError: If the process died by itself (a crash in native code).
    """
    if multiprocessing.current_process().daemon:
        return function(*arguments)
    with closing(process_pool(_nothing, 1, retries=0, silence=limit)) as pool:
        (done,) = pool.run([Task(what, partial(_call, function, arguments))], lost=partial(decoder_lost, limit))
    if isinstance(done.content, VideoError):
        raise done.content
    return done.content


def decoder_lost(limit: float, task: Task, losses: int, last: Lost) -> VideoError:
    """What is wrong with a video over which decoders were lost; the task is named for its file."""
    if last.silent:
        return VideoTimeoutError(f"{task.what}: decoding took longer than {limit:g} s; its process was killed")
    return CorruptVideoError(f"{task.what}: the decoder crashed ({last.reason})")


def _nothing() -> None:
    """What the process holds."""


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], _: None) -> Any:
    return function(*arguments)
