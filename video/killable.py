"""Runs a function in a process of its own and kills it when its time is over."""

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from namm_xmodal.errors import CorruptVideoError, NammError, VideoTimeoutError


def run_killable(function: Callable[..., Any], arguments: tuple[Any, ...], limit: float, what: str) -> Any:
    """`function(*arguments)`, or an error within `limit` seconds.

    Args:
        function: At the top of a module, so that the process can import it.
        arguments: Picklable.
        limit: Seconds, the start of the process included.
        what: The file, for messages.

    Raises:
        VideoTimeoutError: If the time was over; the process is dead.
        CorruptVideoError: If the process died by itself (a crash in native code).
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(theirs, function, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(limit):
            raise VideoTimeoutError(f"{what}: decoding took longer than {limit:g} s; its process was killed")
        try:
            error, value = ours.recv()
        except EOFError:
            process.join()
            raise CorruptVideoError(f"{what}: the decoder crashed (exit code {process.exitcode})") from None
        if error is not None:
            raise error
        return value
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve(connection: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        connection.send((None, function(*arguments)))
    except NammError as error:
        connection.send((error, None))
    except Exception as error:
        connection.send((RuntimeError(f"in a decoder process: {error}\n{traceback.format_exc()}"), None))
