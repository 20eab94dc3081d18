"""Pictures of what a policy kept of one item: shaded text, images, maps. Any modality may make any of them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from namm_xmodal.errors import ResultsError


@dataclass(frozen=True)
class ShadedText:
    """Tokens, and when each layer and head evicted them.

    Attributes:
        title: What it shows.
        arm: Label and size of the arm.
        tokens: Text of each token.
        updates: Tokens seen at each update.
        fates: For each layer and head a string with one letter for each token: `.` if it is still there, else the
            update that evicted it, `a` for the first.
    """

    title: str
    arm: str
    tokens: tuple[str, ...]
    updates: tuple[int, ...]
    fates: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Pictures:
    """Pictures in the order of time.

    Attributes:
        title: What they show.
        arm: Label and size of the arm.
        captions: Of each picture.
        images: PNG files in base64.
        note: What to see in them.
    """

    title: str
    arm: str
    captions: tuple[str, ...]
    images: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class KeptMap:
    """Kept shares on a grid.

    Attributes:
        title: What it shows.
        arm: Label and size of the arm.
        rows: Name of the vertical axis, such as layer.
        columns: Name of the horizontal axis, such as head.
        shares: Of each row and column, from 0 to 1; None where there was nothing to keep.
        figure: First part of the name of the figure's files; maps of the same are drawn in one figure.
        row_names: Of each row; numbers if empty.
        column_names: Of each column; numbers if empty.
    """

    title: str
    arm: str
    rows: str
    columns: str
    shares: tuple[tuple[float | None, ...], ...]
    figure: str = "kept"
    row_names: tuple[str, ...] = ()
    column_names: tuple[str, ...] = ()


Exhibit = ShadedText | Pictures | KeptMap
_KINDS: Mapping[str, type] = {kind.__name__: kind for kind in (ShadedText, Pictures, KeptMap)}


def to_json(exhibits: Sequence[Exhibit]) -> list[dict[str, Any]]:
    """Plain JSON types."""
    return [{"kind": type(each).__name__, **asdict(each)} for each in exhibits]


def from_json(values: object, where: str) -> list[Exhibit]:
    """Reads what `to_json` wrote.

    Raises:
        ResultsError: If it is something else.
    """
    try:
        found = []
        for each in values:  # type: ignore[attr-defined]
            content = {key: _tuples(value) for key, value in each.items() if key != "kind"}
            found.append(_KINDS[each["kind"]](**content))
    except (TypeError, KeyError, AttributeError):
        raise ResultsError(f"{where}: written by another version; remove the file, and it is made again") from None
    return found


def png(image: Any) -> str:
    """(height, width, 3) uint8 as a PNG file in base64."""
    from io import BytesIO

    from matplotlib.image import imsave

    buffer = BytesIO()
    imsave(buffer, image, format="png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
