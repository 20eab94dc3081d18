"""Worker processes: results of all, errors as they are, a death is named."""

import os
from functools import partial

import pytest

from namm_xmodal.errors import DataError, ResultsError, UnknownNameError
from namm_xmodal.evaluation.pool import _portable, run_in_processes


class Squares:
    """Squares numbers; strings tell it to fail in different ways."""

    def __init__(self, offset):
        self.offset = offset

    def run(self, work):
        if work == "user":
            raise DataError("a line for the user")
        if work == "bug":
            raise ZeroDivisionError("ours")
        if work == "die":
            os._exit(7)
        yield work * work + self.offset
        yield -work


def test_results_of_all_pieces():
    assert sorted(run_in_processes(partial(Squares, 1), [1, 2, 3], 2)) == sorted([2, 5, 10, -1, -2, -3])


@pytest.mark.parametrize(
    ("work", "kind", "message"),
    [
        ("user", DataError, "a line for the user"),
        ("bug", RuntimeError, "in a worker process: ours"),
        ("die", ResultsError, "exit code 7"),
    ],
)
def test_failures(work, kind, message):
    with pytest.raises(kind, match=message):
        list(run_in_processes(partial(Squares, 0), [work], 1))


def test_errors_survive_the_way_home():
    error = _portable(UnknownNameError("policy", "h2", ["h2o"]))
    assert "did you mean h2o?" in str(error)
    assert isinstance(_portable(DataError("x")), DataError)
