"""Every error of the package survives pickling and copying: its type, its line and its fields."""

import copy
import pickle

import pytest

from namm_xmodal import errors

SPECIAL = {
    errors.UnknownNameError: ("policy", "h2", ["h2o", "full"]),
    errors.MissingDependencyError: ("reading HDF5", "rl"),
}


def kinds(base):
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


ALL = sorted(
    {kind for kind in kinds(errors.NammError) if kind.__module__ == errors.__name__}, key=lambda kind: kind.__name__
)


class Own(errors.DataError):
    """As a user may write one."""

    def __init__(self, path, *, line):
        super().__init__(f"{path}:{line}: bad")
        self.path, self.line = path, line


def test_all_are_here():
    assert len(ALL) > 20


@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", [*ALL, Own], ids=lambda kind: kind.__name__)
def test_errors_survive(kind, again):
    error = kind("a.txt", line=3) if kind is Own else kind(*SPECIAL.get(kind, ("one line",)))
    error.add_note("seen in a worker")
    back = again(error)
    assert type(back) is kind
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.args == error.args
