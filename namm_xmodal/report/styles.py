"""Colour, marker and line of every policy: the same in all figures, distinguishable beyond the number of colours."""

from collections.abc import Sequence
from dataclasses import dataclass

# Okabe and Ito's colours, distinguishable with any colour vision, darkened or lightened to be seen on light and dark.
COLOURS = (
    "#2f7fbf",
    "#c98500",
    "#1a9e77",
    "#c06fa5",
    "#7d8590",
    "#8a62c4",
    "#5fa3d8",
    "#9a7b2f",
    "#4f8f3a",
    "#b5695a",
)
_MARKERS = "osD^vP*X<>pdh8"
_DASHES = ("-", "--", "-.", ":")
_LEARNED = ("#d62f2f", "#f0662a", "#a3186b")


@dataclass(frozen=True)
class Style:
    """How a policy is drawn.

    Attributes:
        colour: Hex.
        marker: Of matplotlib.
        dashes: Line style of matplotlib.
        width: Of its line, in points.
        size: Of its marker, in points.
        front: Whether it is drawn over the others.
    """

    colour: str
    marker: str
    dashes: str
    width: float
    size: float
    front: bool


def styles(labels: Sequence[str], learned: set[str]) -> dict[str, Style]:
    """A style for each policy; NAMMs are red, thick and in front.

    Args:
        labels: In the order of the configuration.
        learned: Which of them are NAMMs.
    """
    found = {}
    for place, label in enumerate(each for each in labels if each in learned):
        dashes = _DASHES[place // len(_LEARNED) % len(_DASHES)]
        found[label] = Style(_LEARNED[place % len(_LEARNED)], _MARKERS[place % len(_MARKERS)], dashes, 2.4, 6.5, True)
    for place, label in enumerate(each for each in labels if each not in learned):
        dashes = _DASHES[place // len(COLOURS) % len(_DASHES)]
        marker = _MARKERS[(place + place // len(_MARKERS)) % len(_MARKERS)]
        found[label] = Style(COLOURS[place % len(COLOURS)], marker, dashes, 1.2, 4.5, False)
    return found
