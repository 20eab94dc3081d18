"""Spreads samples evenly over a grid of lengths and depths."""

import random
from collections.abc import Sequence
from typing import TypeVar

from namm_xmodal.errors import ConfigError

Cell = TypeVar("Cell")


def spread(cells: Sequence[Cell], n: int, seed: int, name: str) -> list[Cell]:
    """A cell for each of `n` samples: all cells in random order, then all in another order, and so on.

    Any number of samples covers the grid as evenly as it can, and more samples never change earlier ones.

    Args:
        cells: The grid, at least one cell.
        n: Number of samples, at least 1.
        seed: Seed of the task's samples.
        name: Name of the task.

    Raises:
        ConfigError: If `n` is not positive.
    """
    if n < 1:
        raise ConfigError(f"n: {n}: expected a number of samples, at least 1")
    spread_out: list[Cell] = []
    while len(spread_out) < n:
        order = list(cells)
        random.Random(f"{name}/{seed}/round{len(spread_out) // len(cells)}").shuffle(order)
        spread_out.extend(order)
    return spread_out[:n]


def sample_rng(name: str, seed: int, index: int) -> random.Random:
    """A generator for one sample, independent of all others and the same on every machine and Python."""
    return random.Random(f"{name}/{seed}/{index}")  # seeding with a string goes through SHA-512


def check_lengths(lengths: Sequence[int], least: int) -> None:
    """Refuses lengths that leave no room for what a task must say.

    Raises:
        ConfigError: If there is none, or one is below `least` tokens.
    """
    if not lengths:
        raise ConfigError("length: []: expected at least one prompt length in tokens, such as [1024]")
    for length in lengths:
        if length < least:
            raise ConfigError(f"length: {length}: expected at least {least} tokens")


def check_depths(depths: Sequence[float]) -> None:
    """Refuses depths that are not fractions.

    Raises:
        ConfigError: If there is none, or one is outside [0, 1].
    """
    if not depths:
        raise ConfigError("depth: []: expected at least one number between 0 (start) and 1 (end), such as [0.1, 0.5]")
    for depth in depths:
        if not 0 <= depth <= 1:
            raise ConfigError(f"depth: {depth}: expected a number between 0 (start) and 1 (end)")
