"""decord as an optional second decoder, in a process of its own that can be killed.

decord's loop over a damaged file may never end and holds the interpreter, so no signal reaches it (decord #269, #373). For
many kinds of file it silently gives other frames than ffmpeg. So it serves only the kinds for which tests hold it to be
equal, and each time its frame count, times and two of its frames are compared with PyAV's.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import CorruptVideoError, MissingDependencyError, UnsupportedCodecError
from namm_xmodal.video.decode import Decoded, decode_frames
from namm_xmodal.video.index import VideoIndex
from namm_xmodal.video.killable import run_killable
from namm_xmodal.video.open import av
from namm_xmodal.video.picture import picture_of, scaled_size

DEFAULT_LIMIT = 60.0
"""Seconds for one video."""

PROVEN = ("h264", "vp9")
"""Codecs, with 8 bits and half the colour resolution, in MP4, QuickTime, Matroska or WebM without an edit list."""
_ROUNDING = 6.0
"""Most that two decoders' colours may differ, on average, of 255."""


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
        UnsupportedCodecError: If it is not known to give the same frames for this kind of file, or gave others.
        CorruptVideoError: If it fails.
    """
    if find_spec("decord") is None:
        raise MissingDependencyError("backend decord", "decord")
    if not index.by_packets or index.edited or index.codec not in PROVEN or index.pixels != "yuv420p":
        raise _refusal(index, "which is not tested for this kind of file")
    wanted = sorted(set(numbers))
    answer = run_killable(_decode, (str(index.path.absolute()), wanted), limit, str(index.path))
    if isinstance(answer, str):
        raise CorruptVideoError(f"{index.path}: decord cannot decode it ({answer})")
    pictures, starts = answer
    if len(starts) != len(index.pts) or not np.allclose(starts - starts[0], index.times, rtol=0, atol=2e-3):
        raise _refusal(index, f"it counts {len(starts)} frames, or other times than those of {len(index.pts)} frames")
    size = scaled_size(pictures.shape[2], pictures.shape[1], max_side)
    decoded = Decoded()
    if size != (pictures.shape[2], pictures.shape[1]):
        decoded.scaled_from = (pictures.shape[2], pictures.shape[1])
        pictures = [picture_of(av.VideoFrame.from_ndarray(picture, format="rgb24"), size) for picture in pictures]
    decoded.frames = dict(zip(wanted, pictures, strict=True))
    for number, picture in decode_frames(index, [wanted[0], wanted[-1]], max_side).frames.items():
        if not _same(picture, decoded.frames[number]):
            raise _refusal(index, f"it decodes another picture at frame {number}")
    return decoded


def _refusal(index: VideoIndex, reason: str) -> UnsupportedCodecError:
    return UnsupportedCodecError(f"{index.path}: decord cannot be used for this video, {reason}; use backend pyav")


def _same(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> bool:
    return one.shape == two.shape and bool(np.abs(one.astype(int) - two.astype(int)).mean() < _ROUNDING)


def _decode(path: str, numbers: list[int]) -> Any:
    """Runs in the process: (F, height, width, 3) frames and the seconds of all frames, or why there are none."""
    import decord

    try:
        reader = decord.VideoReader(path, num_threads=1)
        starts = reader.get_frame_timestamp(list(range(len(reader))))[:, 0]
        known = [number for number in numbers if number < len(reader)]
        return reader.get_batch(known).asnumpy(), starts
    except Exception as error:  # decord raises RuntimeError and its own classes, with addresses and a clock inside
        return str(error).splitlines()[0].split("]")[-1].strip()[:120]
