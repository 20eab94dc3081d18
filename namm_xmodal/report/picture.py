"""Plots as files that say who made them and which policies they show: a picture older than its weights can be told."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from namm_xmodal.disk.own_files import software
from namm_xmodal.disk.whole_file import replacing

POLICIES = "Policies"
"""Key of the PNG's text that holds the fingerprints."""


_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": software()},
    ".svg": {"Creator": software(), "Date": None},
    ".pdf": {"Creator": software(), "CreationDate": None},
}


def save_picture(figure: Any, path: Path, dpi: int = 150, metadata: Mapping[str, str] | None = None) -> None:
    """Replaces a picture in one step; it says who made it, and the same figure gives the same bytes.

    Args:
        figure: A matplotlib figure.
        path: The file; its suffix (png, svg, pdf) decides the format.
        dpi: Pixels per inch.
        metadata: What else the file says.

    Raises:
        OSError: If the disk refuses; the old picture is kept.
    """
    from matplotlib import rc_context

    with replacing(path) as fresh, rc_context({"svg.hashsalt": "namm-xmodal"}):
        figure.savefig(fresh, dpi=dpi, metadata={**_METADATA[path.suffix.lower()], **(metadata or {})})


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
    save_picture(figure, png, dpi, {POLICIES: json.dumps(policies)})
    save_picture(figure, svg)
    return [png, svg]


def fingerprints(records: Iterable[Any]) -> dict[str, list[str]]:
    """Label of each policy to the fingerprints that its records were made with; one of each size."""
    found: dict[str, list[str]] = {}
    for record in records:
        of_label = found.setdefault(record.policy, [])
        if record.fingerprint not in of_label:
            of_label.append(record.fingerprint)
    return found
