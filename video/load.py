"""From a file to frames: index, sampler, decoder, and a verdict on damage."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from namm_xmodal.errors import ConfigError, CorruptVideoError, TruncatedVideoError, UnsupportedCodecError
from namm_xmodal.video.clip import FrameRequest, VideoClip
from namm_xmodal.video.decode import Decoded, decode_frames
from namm_xmodal.video.decord_backend import decode_frames_with_decord
from namm_xmodal.video.index import VideoIndex, index_video
from namm_xmodal.video.samplers import choose_frames

BACKENDS = ("pyav", "decord")


def load_video(request: FrameRequest) -> VideoClip:
    """Loads what a request asks for.

    Raises:
        VideoError: One of its kinds, in a plain sentence; with `salvage`, damage is a note instead as long as any frame
            decodes.
        ConfigError: If sampler, number of frames or backend make no sense.
    """
    if request.backend not in BACKENDS:
        raise ConfigError(f"backend={request.backend!r}: expected {' or '.join(BACKENDS)}")
    index = index_video(request.path)
    chosen = choose_frames(index, request.sampler, request.frames, request.by)
    name = f"{request.sampler}, {request.frames} frames by {request.by}"
    return _clip(index, chosen, name, request)


def load_frames_at(path: str | Path, seconds: Sequence[float], backend: str = "pyav") -> VideoClip:
    """The frames that are on screen at given times, counted in seconds from the first frame.

    Args:
        path: The file.
        seconds: Times; frames come back in the order of time, each once.
        backend: `pyav` or `decord`.
    """
    if not seconds:
        raise ConfigError("seconds=[]: expected at least one time")
    index = index_video(path)
    chosen = sorted({index.shown_at(each) for each in seconds})
    return _clip(index, chosen, "given times", FrameRequest(Path(path), len(chosen), backend=backend))


def _clip(index: VideoIndex, chosen: list[int], name: str, request: FrameRequest) -> VideoClip:
    there, promised = len(index.pts), index.promised
    notes = []
    if there < promised:
        what = f"{there} of {promised} promised frames exist"
        if not request.salvage:
            raise TruncatedVideoError(f"{index.path}: {what}; fetch it again, or allow salvaging to use those")
        notes.append(f"truncated: {what}")
    if request.backend == "decord":
        decoded = decode_frames_with_decord(index, chosen, request.max_side)
    else:
        decoded = decode_frames(index, chosen, request.max_side)
    notes += _damage(index, chosen, decoded, request.salvage)
    if decoded.scaled_from is not None:
        notes.append(f"scaled down from {decoded.scaled_from[0]} x {decoded.scaled_from[1]}")
    kept = [number for number in chosen if number in decoded.frames]
    frames = [decoded.frames[number] for number in kept]
    if len({frame.shape for frame in frames}) > 1:
        raise UnsupportedCodecError(f"{index.path}: the picture changes its size within the video; convert it first")
    times = index.times
    shown = tuple(times[number] for number in kept)
    return VideoClip(np.stack(frames), shown, index.duration, there, name, tuple(notes))


def _damage(index: VideoIndex, chosen: list[int], decoded: Decoded, salvage: bool) -> list[str]:
    missing, corrupt = len(chosen) - len(decoded.frames), len(decoded.corrupt)
    if not missing and not corrupt:
        return []
    what = f"of {len(chosen)} frames, {missing} do not decode and {corrupt} are flagged as damaged"
    if not salvage:
        raise CorruptVideoError(f"{index.path}: {what}; fetch it again, or allow salvaging to use the rest")
    return [f"damaged: {what}"]
