"""A needle in a haystack as it is usually drawn: score by length of the text and depth of the fact, for every arm."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from namm_xmodal.evaluation.modality import Metric
from namm_xmodal.report.figure import Figure
from namm_xmodal.report.heat_map import Panel, Side, draw_panels
from namm_xmodal.report.summary import Row, Summary
from namm_xmodal.report.words import listed

FEWEST_CELLS, MOST_CELLS = 4, 400
MOST_PANELS = 80
MOST_ACROSS = 4
TALLEST = 30
"""Arms that one panel of a single length holds."""

Cells = Mapping[tuple[int, float], Sequence[float]]
"""Scores by length and depth."""


def draw_depths(summary: Summary, section: str, task: str) -> Figure | None:
    """The map of a task whose items say `length` and `depth` and cover all pairs of them; None for others.

    Several lengths: a panel for each arm, those of a policy in a line. A single one: a line of cells for each arm.

    Args:
        summary: All rows.
        section: Name of the section.
        task: Name of the task.
    """
    metric = _metric(summary, section, task)
    if metric is None:
        return None
    arms = [(row, cells) for row in summary.of(section, task) if (cells := _cells(row, metric))]
    lengths = sorted({length for _, cells in arms for length, _ in cells})
    depths = sorted({depth for _, cells in arms for _, depth in cells})
    grid = set(product(lengths, depths))
    if (
        len(depths) < 2
        or not FEWEST_CELLS <= len(grid) <= MOST_CELLS
        or not any(set(cells) == grid for _, cells in arms)
    ):
        return None
    if len(lengths) > 1:
        panels, across = _by_policy(arms[:MOST_PANELS], metric, lengths, depths)
        size = max(1.6, 0.36 * len(lengths) + 0.7), max(1.7, 0.2 * len(depths) + 0.75)
    else:
        panels, across = [_lines(arms[:TALLEST], metric, lengths[0], depths)], 1
        size = max(3.5, 0.6 * len(depths) + 2.2), 0.22 * min(len(arms), TALLEST) + 1.1
    counts = sorted({len(scores) for _, cells in arms for scores in cells.values()})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    bar = f"{metric.name}\n{n} per cell"
    drawing, values = draw_panels(panels, across, *size, bar, numbers=len(lengths) <= 8)
    alt = (
        f"{section}: {task}, {metric.name} by length and depth of the fact, {n} per cell, of "
        f"{listed(dict.fromkeys(row.label for row, _ in arms))}; the tables give every mean"
    )
    name = re.sub(r"[^\w-]", "-", f"depths-{section}-{task}")
    return Figure(name, alt, drawing, values, policies=summary.fingerprints(section, task))


def _metric(summary: Summary, section: str, task: str) -> Metric | None:
    """The first that tables show, if it lies between 0 and 1."""
    for metric in summary.headline(section, task):
        values = [
            scores[metric.name]
            for row in summary.of(section, task)
            for scores in row.scores.values()
            if metric.name in scores
        ]
        if metric.higher_is_better and values and 0 <= min(values) and max(values) <= 1:
            return metric
    return None


def _cells(row: Row, metric: Metric) -> dict[tuple[int, float], list[float]]:
    found: dict[tuple[int, float], list[float]] = {}
    for record in row.scored:
        length, depth = record.tags.get("length"), record.tags.get("depth")
        value = row.scores.get(record.item, {}).get(metric.name)
        if isinstance(length, int) and isinstance(depth, int | float) and value is not None:
            found.setdefault((length, float(depth)), []).append(value)
    return found


def _by_policy(
    arms: Sequence[tuple[Row, Cells]], metric: Metric, lengths: Sequence[int], depths: Sequence[float]
) -> tuple[list[Panel | None], int]:
    """Panels and how many stand in a line: policies of a single size first, then those of several, side by side."""
    groups: dict[str, list[Panel | None]] = {}
    for row, cells in arms:
        groups.setdefault(row.label, []).append(_panel(row, cells, metric, lengths, depths))
    most = max(map(len, groups.values()))
    across = most * max(1, MOST_ACROSS // most)
    if most == 1:  # lines of about the same length: six panels are two lines of three
        across = math.ceil(len(groups) / math.ceil(len(groups) / MOST_ACROSS))
    found = [panel for group in groups.values() if len(group) == 1 for panel in group]
    if len(groups) > len(found):
        found += [None] * (-len(found) % across)
    for group in groups.values():
        if len(group) > 1:
            found += [*group, *[None] * (most - len(group))]
    return found, min(across, len(found))


def _panel(row: Row, cells: Cells, metric: Metric, lengths: Sequence[int], depths: Sequence[float]) -> Panel:
    means = tuple(tuple(_mean(cells, length, depth) for length in lengths) for depth in depths)
    words = tuple(tuple(_words(row, cells, metric, length, depth) for length in lengths) for depth in depths)
    columns = Side("tokens", tuple(f"{length:,}" for length in lengths), turned=60)
    rows = Side("depth", tuple(f"{depth:.0%}" for depth in depths))
    return Panel(_name(row), rows, columns, means, words)


def _lines(arms: Sequence[tuple[Row, Cells]], metric: Metric, length: int, depths: Sequence[float]) -> Panel:
    """One panel: a line of cells for each arm."""
    means = tuple(tuple(_mean(cells, length, depth) for depth in depths) for _, cells in arms)
    words = tuple(tuple(_words(row, cells, metric, length, depth) for depth in depths) for row, cells in arms)
    names = Side("", tuple(_name(row) for row, _ in arms))
    columns = Side(f"depth in {length:,} tokens", tuple(f"{depth:.0%}" for depth in depths))
    return Panel("", names, columns, means, words)


def _name(row: Row) -> str:
    return row.label if row.full else f"{row.label}, {row.size}"


def _mean(cells: Cells, length: int, depth: float) -> float | None:
    scores = cells.get((length, depth))
    return float(np.mean(scores)) if scores else None


def _words(row: Row, cells: Cells, metric: Metric, length: int, depth: float) -> str:
    scores = cells.get((length, depth), ())
    mean = f"{np.mean(scores):.2f}" if scores else "nothing"
    return f"{_name(row)}: {length:,} tokens, depth {depth:.0%}: {metric.name} {mean}, n = {len(scores)}"
