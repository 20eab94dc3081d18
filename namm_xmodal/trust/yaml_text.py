"""Untrusted YAML: plain values only, bounded in size, depth and what its aliases unfold to."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

MOST_NODES = 20_000
"""Most keys and values of a file, those behind an alias counted wherever it stands."""
DEEPEST = 32
"""Most lists and mappings within one another."""


def parse_yaml(text: str) -> Any:
    """One YAML document.

    Raises:
        ValueError: What is wrong and where, on one line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(_one_line(error)) from None


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses repeated keys (the last would silently win) and content that grows without bound."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._inside = 0  # collections around the node that is being read
        self._measured: dict[int, tuple[int, int]] = {}  # node -> nodes in it, depth of it
        self._read: list[yaml.Node] = []  # keeps the nodes alive, so that no two have one id

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Reads a node and measures it; an alias has the measures of what it stands for."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark, alias = event.start_mark, isinstance(event, yaml.AliasEvent)
        self._inside += 1
        self._check(len(self._read), self._inside, mark)
        node = super().compose_node(parent, index)
        self._inside -= 1
        if alias and id(node) not in self._measured:
            raise yaml.constructor.ConstructorError(None, None, "an alias stands inside what it names", mark)
        if node is not None and not alias:
            self._read.append(node)
            self._measured[id(node)] = self._measure(node, mark)
        return node

    def _measure(self, node: yaml.Node, mark: yaml.Mark) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            return 1, 1
        children = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        measures = [self._measured[id(child)] for child in children]
        count, depth = 1 + sum(count for count, _ in measures), 1 + max((depth for _, depth in measures), default=0)
        self._check(count, depth, mark)
        return count, depth

    @staticmethod
    def _check(count: int, depth: int, mark: yaml.Mark) -> None:
        if count > MOST_NODES:
            problem = f"more than {MOST_NODES:,} keys and values, aliases unfolded"
            raise yaml.constructor.ConstructorError(None, None, problem, mark)
        if depth > DEEPEST:
            problem = f"more than {DEEPEST} lists and mappings within one another"
            raise yaml.constructor.ConstructorError(None, None, problem, mark)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Names the place of a value that looks like a number or a date and is none, such as 2001-99-99."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(None, None, f"{error}; quote it", node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node in _plain_keys(node):
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is not a word; quote it", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _plain_keys(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    """Keys except `<<`, which merges an anchor of the same file."""
    return (key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge")


# YAML 1.1 reads 1e-3 as a string (it wants 1.0e-3); everyone means the number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _one_line(error: yaml.YAMLError) -> str:
    """The problem and its place on one line; PyYAML spreads it over several."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else str(problem)
