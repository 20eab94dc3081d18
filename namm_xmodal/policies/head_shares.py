"""Shares of a budget for each head of a model."""

import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import CheckpointError
from namm_xmodal.trust.json_text import read_json

_FORMAT = "namm-xmodal-head-shares"
_MOST_BYTES = 10_000_000
_SMALLEST, _LARGEST = 1e-4, 1e6
"""Of a share over an even one: a head without any would leave its part of the budget to nobody."""
SHIPPED = Path(__file__).parent / "shares"


@dataclass(frozen=True, repr=False)
class HeadShares:
    """What every kv head gets of a budget, over what it would get of an even one.

    Attributes:
        weights: One tuple for each layer, one number above 0 for each kv head; their mean is 1.
        source: Where they come from.
    """

    weights: tuple[tuple[float, ...], ...]
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuses numbers that are not valid shares.

        Raises:
            CheckpointError: With what was given.
        """
        try:
            weights = tuple(tuple(float(weight) for weight in layer) for layer in self.weights)
        except (TypeError, ValueError):
            raise CheckpointError("head shares: expected a list of numbers for each layer") from None
        object.__setattr__(self, "weights", weights)
        numbers, sizes = [weight for layer in weights for weight in layer], sorted({len(layer) for layer in weights})
        if not numbers or len(sizes) > 1:
            raise CheckpointError(
                f"head shares: layers of {' and '.join(map(str, sizes)) or 'no'} kv heads: expected the same number, "
                "at least one, in every layer"
            )
        wrong = next((weight for weight in numbers if not _SMALLEST <= weight <= _LARGEST), None)
        if wrong is not None:
            raise CheckpointError(f"head shares: {wrong:g}: expected numbers from {_SMALLEST:g} to {_LARGEST:g}")

    def __repr__(self) -> str:
        """One line; a model may have a thousand heads."""
        numbers = [weight for layer in self.weights for weight in layer]
        size = f"{len(self.weights)} layers of {len(self.weights[0])} kv heads"
        return f"HeadShares({size}, {min(numbers):g} to {max(numbers):g}; {self.source})"

    @classmethod
    def of(cls, weights: Tensor, source: str) -> "HeadShares":
        """From (L, H) numbers on any scale."""
        scaled = (weights.double() / weights.double().mean()).clamp(min=_SMALLEST)
        return cls(tuple(tuple(round(float(each), 4) for each in layer) for layer in scaled), source)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path) -> "HeadShares":
        """Reads a file that `save` has written.

        Args:
            name_or_path: The file, or the name of a model whose shares ship with the package, such as `smollm2-135m`.

        Raises:
            CheckpointError: If there is none, or it is damaged or something else.
        """
        shipped = sorted(path.stem for path in SHIPPED.glob("*.json"))
        path = SHIPPED / f"{name_or_path}.json" if str(name_or_path) in shipped else Path(name_or_path)
        expected = f"a file of `namm-xmodal head-shares`, or one of {', '.join(shipped)}"
        found = read_json(path, error=CheckpointError, expected=expected, most=_MOST_BYTES)
        if not isinstance(found, dict) or found.get("format") != _FORMAT or not _all_numbers(found.get("weights")):
            raise CheckpointError(f"{path}: expected {expected}")
        weights = tuple(tuple(float(each) for each in layer) for layer in found["weights"])
        try:
            return cls(weights, str(found.get("source", "")))
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None

    def save(self, path: str | Path) -> None:
        """Writes a small JSON file atomically."""
        content = {"format": _FORMAT, "source": self.source, "weights": self.weights}
        replace_text(Path(path), json.dumps(content) + "\n")

    def counts(self, layer: int, budget: int, seen: int, least: int) -> tuple[int, ...]:
        """Tokens of each head of a layer, at most `seen`; `budget` on average over all heads of all layers, rounded down.

        Args:
            layer: Of which the heads are asked.
            budget: Tokens of an average head.
            seen: Tokens that there are.
            least: Tokens of any head, if the budget holds them: those that are protected.
        """
        factor = _factor(self.weights, budget, seen, least)
        return tuple(_count(weight, factor, seen, min(least, budget)) for weight in self.weights[layer])

    def on(self, device: torch.device, layer: int, budget: int, seen: int, least: int) -> Tensor:
        """`counts` as `keep_best` takes them: (1, H, 1) int64."""
        return torch.tensor(self.counts(layer, budget, seen, least), device=device)[None, :, None]


def _all_numbers(layers: object) -> bool:
    if not isinstance(layers, list) or not all(isinstance(layer, list) for layer in layers):
        return False
    return all(isinstance(each, int | float) and not isinstance(each, bool) for layer in layers for each in layer)


def _count(weight: float, factor: float, seen: int, least: int) -> int:
    return min(seen, max(least, math.floor(weight * factor)))


@lru_cache(maxsize=4096)
def _factor(weights: tuple[tuple[float, ...], ...], budget: int, seen: int, least: int) -> float:
    """The largest factor at which heads get no more than the budget together."""
    numbers = [weight for layer in weights for weight in layer]
    room, least = budget * len(numbers), min(least, budget)
    low, high = 0.0, 2.0 * seen / min(weight for weight in numbers if weight > 0)
    for _ in range(60):
        middle = (low + high) / 2
        if sum(_count(weight, middle, seen, least) for weight in numbers) <= room:
            low = middle
        else:
            high = middle
    return low
