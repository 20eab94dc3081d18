"""Reads a pickle of another library's object without that library and without running anything of it.

A pickle is a program: whoever wrote it decides what is called. Here numpy arrays are rebuilt, classes of the named
libraries become bags of attributes, and everything else is refused.
"""

import pickle
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError

_INERT = ("stable_baselines3.", "sb3_contrib.", "gym.", "gymnasium.", "numpy.random.")
_NUMPY = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
}


class Bag:
    """Stands for an object of another library: takes any arguments, keeps its state as attributes."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Bag":
        """Ignores what it is made from."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Ignores what it is made from."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update({str(name): value for name, value in state.items()})


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Numpy's own, a bag, or a refusal."""
        if (module, name) in _NUMPY:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if f"{module}.".startswith(_INERT):
            return Bag
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def load_inert(path: Path) -> Any:
    """The object in a pickle, inert.

    Raises:
        DataError: If the pickle is damaged or asks for anything but arrays and bags.
    """
    try:
        with path.open("rb") as file:
            return _Unpickler(file).load()
    except Exception as error:  # a pickle raises whatever it likes
        raise DataError(
            f"{path}: not loaded ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from None
