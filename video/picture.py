"""From a decoded frame to pixels: scaled and upright."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import VideoError
from namm_xmodal.video.open import av

LONGEST = 4
"""The longer side of a scaled picture is at most this many times `max_side`: a strip of 60,000 x 700 is large, too."""


class Orientation(NamedTuple):
    """How a stored picture comes upright: rows and columns change places first, then either is mirrored."""

    swapped: bool = False
    rows: bool = False
    columns: bool = False


UPRIGHT = Orientation()


def orientation_of(frame: Any) -> Orientation:
    """What the display matrix of telephones' videos asks for.

    Raises:
        VideoError: If the picture is turned by another angle than quarter turns.
    """
    # PyAV's side data hold their frame and are held by it, so a copy of no size is asked, not a picture of megabytes.
    small = frame.reformat(width=16, height=16)
    try:
        found = small.side_data.get(av.sidedata.sidedata.Type.DISPLAYMATRIX)
    except ValueError:  # other side data that PyAV has no name for: all it tells then is the rotation, anticlockwise
        quarter = round(small.rotation / 90) % 4
        return Orientation(quarter % 2 == 1, rows=quarter in (1, 2), columns=quarter in (2, 3))
    if found is None:
        return UPRIGHT
    a, b, _, c, d = (int(each) for each in np.frombuffer(bytes(found), np.int32)[:5])  # (x, y) -> (ax + cy, bx + dy)
    straight, across = max(abs(a), abs(d)), max(abs(b), abs(c))
    if min(straight, across) > 0.017 * max(straight, across):  # a degree, as ffmpeg allows
        raise VideoError("the picture is turned by an angle other than quarter turns; convert it first")
    return (
        Orientation(True, rows=b < 0, columns=c < 0)
        if across > straight
        else Orientation(False, rows=d < 0, columns=a < 0)
    )


def scaled_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Width and height with the shorter side at most `max_side` and the longer at most `LONGEST` times that."""
    shorter, longer = sorted((width, height))
    if shorter <= max_side and longer <= LONGEST * max_side:
        return width, height
    factor = min(max_side / shorter, LONGEST * max_side / longer)
    return max(1, round(width * factor)), max(1, round(height * factor))


def picture_of(frame: Any, size: tuple[int, int], orientation: Orientation = UPRIGHT) -> NDArray[np.uint8]:
    """(height, width, 3), upright.

    Args:
        frame: Of PyAV.
        size: Width and height before it is turned.
        orientation: How to turn it upright.
    """
    if size == (frame.width, frame.height):
        picture = frame.to_ndarray(format="rgb24")
    else:
        picture = frame.to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation="AREA")
    if orientation.swapped:
        picture = picture.swapaxes(0, 1)
    upright: NDArray[np.uint8] = picture[:: -1 if orientation.rows else 1, :: -1 if orientation.columns else 1]
    return np.ascontiguousarray(upright)
