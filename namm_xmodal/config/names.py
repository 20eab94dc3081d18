"""The hint at the end of every message about an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST_NEAR = 5
"""Names that merely contain what was given may be many."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """`did you mean x?` when something is near, else `otherwise`, by default the whole list."""
    choices = sorted(known)
    near = (
        get_close_matches(name, choices, n=3, cutoff=0.6)
        or [each for each in choices if name and name in each][:MOST_NEAR]
    )
    if near:
        return f"did you mean {' or '.join(near)}?"
    if otherwise is not None:
        return otherwise
    return f"known: {', '.join(choices)}" if choices else "no names are known here"
