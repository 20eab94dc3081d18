"""From a decoded frame to pixels: scaled and upright."""

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import VideoError

LONGEST = 4
"""The longer side of a scaled picture is at most this many times `max_side`: a strip of 60,000 x 700 is large, too."""


def scaled_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Width and height with the shorter side at most `max_side` and the longer at most `LONGEST` times that."""
    shorter, longer = sorted((width, height))
    if shorter <= max_side and longer <= LONGEST * max_side:
        return width, height
    factor = min(max_side / shorter, LONGEST * max_side / longer)
    return max(1, round(width * factor)), max(1, round(height * factor))


def picture_of(frame: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width, 3), upright: the display matrix of telephones' videos is applied.

    Args:
        frame: Of PyAV.
        size: Width and height before it is turned.

    Raises:
        VideoError: If it is turned by another angle than quarter turns.
    """
    if size == (frame.width, frame.height):
        picture = frame.to_ndarray(format="rgb24")
    else:
        picture = frame.to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation="AREA")
    upright: NDArray[np.uint8] = np.ascontiguousarray(_turned(picture, frame))
    return upright


def resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (height, width, 3) at another width and height."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    scaled: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation="AREA")
    return scaled


def _turned(picture: NDArray[np.uint8], frame: Any) -> NDArray[np.uint8]:
    """The display matrix sends (x, y) to (a x + c y, b x + d y)."""
    try:
        matrix = frame.side_data.get(av.sidedata.sidedata.Type.DISPLAYMATRIX)
    except ValueError:  # a frame with side data that PyAV has no name for: all it tells then is the rotation
        return np.rot90(picture, round(frame.rotation / 90) % 4)  # anticlockwise, as np.rot90 turns
    if matrix is None:
        return picture
    a, b, _, c, d = (int(each) for each in np.frombuffer(bytes(matrix), np.int32)[:5])
    straight, across = max(abs(a), abs(d)), max(abs(b), abs(c))
    if min(straight, across) > 0.017 * max(straight, across):  # a degree, as ffmpeg allows
        raise VideoError("the picture is turned by an angle other than quarter turns; convert it first")
    if across > straight:
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
