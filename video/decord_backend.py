"""decord as an optional second decoder, in a process of its own that can be killed.

decord's loop over a damaged file may never end and holds the interpreter, so no signal reaches it (decord #269, #373).
The frames are chosen by our own index; decord only decodes them, so both backends give the same frames.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from namm_xmodal.errors import CorruptVideoError, MissingDependencyError, TruncatedVideoError
from namm_xmodal.video.decode import Decoded
from namm_xmodal.video.index import VideoIndex
from namm_xmodal.video.killable import run_killable

DEFAULT_LIMIT = 60.0
"""Seconds for one video."""


def decode_frames_with_decord(
    index: VideoIndex, numbers: Sequence[int], max_side: int = 720, limit: float = DEFAULT_LIMIT
) -> Decoded:
    """As `decode_frames`, by decord.

    Args:
        index: The video.
        numbers: Which frames.
        max_side: See `FrameRequest`.
        limit: Seconds after which the process is killed.

    Raises:
        MissingDependencyError: If decord is not installed.
        VideoTimeoutError: If it takes longer than `limit`.
        TruncatedVideoError: If decord counts fewer frames than the index.
        CorruptVideoError: If it fails.
    """
    if find_spec("decord") is None:
        raise MissingDependencyError("backend decord", "decord")
    answer = run_killable(_decode, (str(index.path), list(numbers)), limit, str(index.path))
    if isinstance(answer, int):
        raise TruncatedVideoError(f"{index.path}: decord counts {answer} frames, the index {len(index.pts)}")
    if isinstance(answer, str):
        raise CorruptVideoError(f"{index.path}: decord cannot decode it ({answer})")
    decoded = Decoded()
    for number, picture in zip(numbers, answer, strict=True):
        decoded.frames[number] = _scaled(picture, max_side, decoded)
    return decoded


def _decode(path: str, numbers: list[int]) -> Any:
    """Runs in the process: (F, height, width, 3) frames, or why there are none."""
    import decord

    try:
        reader = decord.VideoReader(path, num_threads=1)
        if numbers[-1] >= len(reader):
            return len(reader)
        return reader.get_batch(numbers).asnumpy()
    except Exception as error:  # decord raises RuntimeError and its own classes, with addresses and a clock inside
        return str(error).splitlines()[0].split("]")[-1].strip()[:120]


def _scaled(picture: Any, max_side: int, decoded: Decoded) -> Any:
    height, width = picture.shape[:2]
    shorter = min(width, height)
    if shorter <= max_side:
        return picture
    import av

    decoded.scaled_from = (width, height)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    size = {"width": round(width * max_side / shorter), "height": round(height * max_side / shorter)}
    return frame.to_ndarray(format="rgb24", interpolation="AREA", **size)
