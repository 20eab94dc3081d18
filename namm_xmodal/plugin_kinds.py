"""What a plug-in may add, and what each of its entries must be."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args

Kind = Literal[
    "policies", "channels", "tasks", "metrics", "benchmarks", "adapters", "environments", "modalities", "strategies"
]
MAPPINGS = tuple(kind.upper() for kind in get_args(Kind))
"""Names of the mappings in a file."""

_INSTANCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "metrics": (
        "namm_xmodal.language.metrics.Metric",
        ("name", "low", "high", "higher_is_better", "description", "of_text", "headline"),
    ),
    "modalities": (
        "namm_xmodal.evaluation.modality.Modality",
        ("name", "section", "facts", "named_by_records", "own_policies", "items", "open", "metrics", "arms", "check"),
    ),
}
"""Of tables that hold instances: the class of the package, and some of what its instances have."""


def wrong_entry(kind: Kind, name: str, entry: Any) -> str:
    """What is wrong with an entry, as the end of a sentence; empty if it fits its table.

    Args:
        kind: Of the table.
        name: In configurations.
        entry: What the plug-in gives for it.
    """
    if kind == "environments":
        fits = callable(entry) or (isinstance(entry, str) and ":" in entry)
        return "" if fits else _instead(name, entry, "a class or function that makes one, or 'module:name' of it")
    if kind not in ("metrics", "modalities"):
        return "" if isinstance(entry, type) else _instead(name, entry, "a class")
    if isinstance(entry, type):
        return _instead(name, entry, f"an instance, such as {entry.__name__}()")
    base, needed = _INSTANCES[kind]
    if not all(hasattr(entry, each) for each in needed):
        return _instead(name, entry, f"an instance of {base}, or of a class derived from it")
    return "" if entry.name == name else f"{name!r} calls itself {entry.name!r}; use one name for both"


def wrong_file(content: Mapping[str, Any]) -> str:
    """What is wrong with a file as a whole, as the end of a sentence; empty if it adds something.

    Args:
        content: What its names stand for.
    """
    given = [name for name in MAPPINGS if name in content]
    for name in given:
        if not isinstance(content[name], Mapping):
            return f"{name} is of type {type(content[name]).__name__}, expected a mapping such as {{'mine': Mine}}"
    if any(content[name] for name in given):
        return ""
    if given:
        return f"{given[0]} is empty, expected an entry such as {{'mine': Mine}}"
    near = [
        f"{name}: did you mean {close[0]}?"
        for name in content
        if not name.startswith("_") and (close := get_close_matches(name.upper(), MAPPINGS, n=1, cutoff=0.8))
    ]
    expected = f"defines none of {', '.join(MAPPINGS)}; expected a mapping such as POLICIES = {{'mine': Mine}}"
    return f"{expected} ({near[0]})" if near else expected


def _instead(name: str, entry: Any, wanted: str) -> str:
    return f"{name!r} is {entry!r}, expected {wanted}"
