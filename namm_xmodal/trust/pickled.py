"""What a pickle holds, read without running it.

A pickle is a program: whoever wrote it decides what is called. Here its instructions only build lists, dictionaries and
notes of what was asked for: no class is looked up, nothing is called, and a number's place in memory is never reserved
because a pickle says so.
"""

import math
import pickletools
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_MOST_STEPS = 2_000_000
_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Any] = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_VALUES = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"} | {
    f"{size}{kind}"
    for size in ("", "SHORT_", "BIN", "SHORT_BIN")
    for kind in ("STRING", "UNICODE", "BYTES", "UNICODE8", "BYTES8")
} | {"BYTEARRAY8"}  # fmt: skip
_NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


@dataclass
class Named:
    """A class or function that a pickle names; only its name.

    Attributes:
        name: As `numpy.dtype`.
    """

    name: str


@dataclass
class Asked:
    """What a pickle asked to be made, which was not made.

    Attributes:
        name: Of the class or function.
        arguments: What it was to be called with.
        state: What was to be put into it afterwards; None for nothing.
        items: Entries that were to be put into it, if it is a dictionary of some kind.
    """

    name: str
    arguments: tuple[Any, ...]
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass
class Outside:
    """A reference to something beside the pickle, as torch has to its storages.

    Attributes:
        key: Whatever the pickle says.
    """

    key: Any


def read_pickle(file: IO[bytes], allowed: tuple[str, ...], outside: list[Any] | None = None) -> Any:
    """The value of one pickle, with `Named`, `Asked` and `Outside` in place of objects.

    Args:
        file: Its bytes; afterwards it stands behind the pickle.
        allowed: Names, and beginnings of names that end in a dot, that the pickle may mention. None of them is called
            either: one of another name shows that this is not the file that was expected.
        outside: Filled with the key of every `Outside`, if given.

    Raises:
        ValueError: If it is damaged or mentions another name.
    """
    try:
        return _Reader(allowed, [] if outside is None else outside).run(file)
    except (
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:  # an empty stack, a number where a list should be
        raise ValueError(f"a damaged pickle ({type(error).__name__})") from None


class _Reader:
    def __init__(self, allowed: tuple[str, ...], outside: list[Any]) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.allowed, self.outside = allowed, outside

    def run(self, file: IO[bytes]) -> Any:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if step > _MOST_STEPS:
                raise ValueError(f"a pickle of more than {_MOST_STEPS:,} instructions")
            if opcode.name == "STOP":
                return self.stack.pop()
            self.do(opcode.name, argument)
        raise ValueError("a pickle without an end")

    def do(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self.since_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "TUPLE":
            stack.append(tuple(self.since_mark()))
        elif name in ("LIST", "FROZENSET"):
            stack.append(self.since_mark())
        elif name == "APPEND":
            value = stack.pop()
            self.extend(stack[-1], [value])
        elif name in ("APPENDS", "ADDITEMS"):
            values = self.since_mark()
            self.extend(stack[-1], values)
        elif name == "DICT":
            stack.append(_paired({}, self.since_mark()))
        elif name == "SETITEM":
            pair = stack[-2:]
            del stack[-2:]
            self.update(stack[-1], pair)
        elif name == "SETITEMS":
            pairs = self.since_mark()
            self.update(stack[-1], pairs)
        else:
            self.do_with_names(name, argument)

    def do_with_names(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name == "GLOBAL":
            stack.append(self.named(argument.replace(" ", ".", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(self.named(f"{module}.{attribute}"))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, maker = stack.pop(), stack.pop()
            stack.append(Asked(maker.name, tuple(arguments)))
        elif name == "NEWOBJ_EX":
            _, arguments, maker = stack.pop(), stack.pop(), stack.pop()
            stack.append(Asked(maker.name, tuple(arguments)))
        elif name == "INST":
            arguments = self.since_mark()
            stack.append(Asked(self.named(argument.replace(" ", ".", 1)).name, tuple(arguments)))
        elif name == "OBJ":
            maker, *arguments = self.since_mark()
            stack.append(Asked(maker.name, tuple(arguments)))
        elif name == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], Asked):
                stack[-1].state = state
        elif name in ("PERSID", "BINPERSID"):
            key = argument if name == "PERSID" else stack.pop()
            self.outside.append(key)
            stack.append(Outside(key))
        else:
            raise ValueError(f"a pickle with the instruction {name}")

    def named(self, name: str) -> Named:
        if not any(name.startswith(each) if each.endswith(".") else name == each for each in self.allowed):
            raise ValueError(f"it refers to {name}, which is not allowed")
        return Named(name)

    def since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a pickle whose marks do not match")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def extend(self, target: Any, values: list[Any]) -> None:
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Asked):  # items of a collection that is not made
            raise TypeError("not a list")

    def update(self, target: Any, pairs: list[Any]) -> None:
        _paired(target.items if isinstance(target, Asked) else target, pairs)


def _paired(target: dict[Any, Any], pairs: list[Any]) -> dict[Any, Any]:
    """Only plain keys: to hash a tuple of tuples of tuples can take for ever."""
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | int | float | bytes | None):
            raise ValueError(f"a pickled dictionary with a key of type {type(key).__name__}")
        target[key] = value
    return target


def attributes_of(value: Any) -> dict[Any, Any]:
    """The state of an object in a pickle; empty if it has none."""
    state = value.state if isinstance(value, Asked) else None
    if isinstance(state, tuple) and len(state) == 2:  # attributes, and those of __slots__
        state = state[0]
    return state if isinstance(state, dict) else {}


def array_of(value: Any) -> NDArray[np.float64]:
    """A numpy array, a numpy number, a number or a list of numbers as float64.

    Raises:
        ValueError: If it is anything else, an array of objects above all.
    """
    if isinstance(value, bool | int | float) or (
        isinstance(value, list) and all(isinstance(each, bool | int | float) for each in value)
    ):
        return np.array(value, dtype=np.float64)
    kind = value.name.rpartition(".")[2] if isinstance(value, Asked) else None
    if kind == "_reconstruct" and isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, dtype, column_major, content = value.state
        order = "F" if column_major is True else "C"
    elif kind == "_frombuffer" and len(value.arguments) == 4:  # protocol 5
        content, dtype, shape, order = value.arguments
    elif kind == "scalar" and len(value.arguments) == 2:
        dtype, content = value.arguments
        shape, order = (), "C"
    else:
        raise ValueError("expected numbers")
    flat = np.frombuffer(_content(content), _dtype(dtype))
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError("an array without a shape")
    if math.prod(shape) != flat.size:
        raise ValueError("an array whose shape does not match its bytes")
    return flat.reshape(shape, order="F" if order == "F" else "C").astype(np.float64)


def _dtype(value: Any) -> np.dtype[Any]:
    """One of the plain numeric types, written as `numpy.dtype("f8")` with a byte order in its state."""
    code = value.arguments[0] if isinstance(value, Asked) and value.name == "numpy.dtype" and value.arguments else None
    state = value.state if isinstance(value, Asked) else None
    order, *fields = state[1:5] if isinstance(state, tuple) and len(state) >= 5 else ("|", None)
    if code not in _NUMBERS or order not in ("<", ">", "=", "|") or any(each is not None for each in fields):
        raise ValueError(f"an array of type {str(code)[:40]!r}, expected plain numbers")
    dtype: np.dtype[Any] = np.dtype(code).newbyteorder(order)
    return dtype


def _content(value: Any) -> bytes:
    """Bytes; protocol 2 writes them as text in Latin-1 to be encoded again, and none as a call of `bytes`."""
    if isinstance(value, Asked) and value.name in ("_codecs.encode", "__builtin__.bytes"):
        value = value.arguments[0] if value.arguments else ""
    if isinstance(value, str):
        value = value.encode("latin-1")
    if not isinstance(value, bytes | bytearray):
        raise ValueError("an array without bytes")
    return bytes(value)
