"""What workers of the tests do: square numbers, and get into trouble, once for each marker file or always."""

import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from namm_xmodal.errors import DataError, UnknownNameError
from namm_xmodal.workers.messages import Task


@dataclass(frozen=True)
class Squares:
    """Makes the object of a worker; `trouble` happens at the start or in the middle of the answer for 3."""

    trouble: str = ""
    marker: str = ""

    def __call__(self):
        if self.trouble == "refuse":
            raise DataError("there is no model")
        if self.trouble.startswith("start"):
            meet(self.trouble.removeprefix("start "), self.marker)
        return self


def once(marker):
    """True at the first call for a marker; always without one."""
    if not marker:
        return True
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def meet(trouble, marker):
    if once(marker):
        if trouble == "exit":
            os._exit(3)
        os.kill(os.getpid(), {"die": signal.SIGKILL, "stop": signal.SIGSTOP}[trouble])


def square(number, squares):
    if number == 3 and squares.trouble.startswith("work"):
        meet(squares.trouble.removeprefix("work "), squares.marker)
    if number == 3 and squares.trouble.startswith("send"):
        half_a_message(squares.trouble.removeprefix("send "), squares.marker)
    return number * number


def half_a_message(trouble, marker):
    """The next answer of this process is cut in the middle, as if trouble came while it was being sent."""
    whole = Connection._send

    def cut(self, data, *rest):
        Connection._send = whole
        whole(self, bytes(data)[: len(data) // 2], *rest)
        meet(trouble, marker)

    if once(marker + " cut" if marker else ""):
        Connection._send = cut


def tasks(numbers, work=square):
    return [Task(f"the square of {number}", partial(work, number)) for number in numbers]


def pid(_number, _squares):
    return os.getpid()


def sleep(seconds, _squares):
    time.sleep(seconds)
    return os.getpid()


def fail(kind, _squares):
    if kind == "name":
        raise UnknownNameError("policy", "h2", ["h2o", "full"])
    if kind == "local":

        class Local(DataError):
            pass

        raise Local("a class of its own")
    if kind == "fault":
        raise ZeroDivisionError("ours,\nin two lines")
    if kind == "lambda":
        return lambda: 0
    return "x" * 50_000_000
