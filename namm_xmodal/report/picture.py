"""Saves pictures atomically, with the version that made them; the same figure gives the same bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namm_xmodal.disk.own_files import software
from namm_xmodal.disk.whole_file import replacing

_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": software()},
    ".svg": {"Creator": software(), "Date": None},
    ".pdf": {"Creator": software(), "CreationDate": None},
}


def save_picture(
    figure: Any, path: Path, dpi: int = 150, metadata: Mapping[str, str] | None = None, **options: Any
) -> None:
    """Replaces a picture in one step.

    Args:
        figure: A matplotlib figure.
        path: The file; its suffix (png, svg, pdf) decides the format.
        dpi: Pixels per inch.
        metadata: What else the file says.
        **options: Of matplotlib's `savefig`.

    Raises:
        OSError: If the disk refuses; the old picture is kept.
    """
    from matplotlib import rc_context

    with replacing(path) as fresh, rc_context({"svg.hashsalt": "namm-xmodal"}):
        figure.savefig(fresh, dpi=dpi, metadata={**_METADATA[path.suffix.lower()], **(metadata or {})}, **options)
