"""Plots as files that say which policies they show, so that a picture older than its weights can be told."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

POLICIES = "Policies"
"""Key of the PNG's text that holds the fingerprints."""


def save_figure(figure: Any, path: Path, policies: Mapping[str, Sequence[str]], dpi: int = 150) -> list[Path]:
    """Saves a figure as PNG and SVG; the PNG's metadata name the policies.

    Args:
        figure: A matplotlib figure.
        path: Without suffix.
        policies: Label to the fingerprints of its sizes.
        dpi: Of the PNG.

    Returns:
        The files written.
    """
    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    figure.savefig(png, dpi=dpi, metadata={POLICIES: json.dumps(policies)})
    figure.savefig(svg, metadata={"Date": None})
    return [png, svg]


def fingerprints(records: Iterable[Any]) -> dict[str, list[str]]:
    """Label of each policy to the fingerprints that its records were made with; one of each size."""
    found: dict[str, list[str]] = {}
    for record in records:
        of_label = found.setdefault(record.policy, [])
        if record.fingerprint not in of_label:
            of_label.append(record.fingerprint)
    return found
