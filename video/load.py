"""From a file to frames: index, sampler, decoder, and a verdict on damage."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from namm_xmodal.errors import ConfigError, CorruptVideoError, TruncatedVideoError
from namm_xmodal.video.clip import FrameRequest, VideoClip
from namm_xmodal.video.decode import Decoded, MisleadingPacketsError, decode_frames
from namm_xmodal.video.decord_backend import decode_frames_with_decord
from namm_xmodal.video.index import VideoIndex, index_video
from namm_xmodal.video.samplers import choose_frames

BACKENDS = ("pyav", "decord")


def load_video(request: FrameRequest) -> VideoClip:
    """Loads what a request asks for.

    Raises:
        VideoError: One of its kinds, in a plain sentence; with `salvage`, damage is a note instead as long as any frame
            decodes.
        ConfigError: If sampler, number of frames, size or backend make no sense.
    """
    if request.backend not in BACKENDS:
        raise ConfigError(f"backend={request.backend!r}: expected {' or '.join(BACKENDS)}")
    if request.max_side < 1:
        raise ConfigError(f"max_side={request.max_side}: expected at least 1")
    name = f"{request.sampler}, {request.frames} frames by {request.by}"
    return _clip(request, lambda index: choose_frames(index, request.sampler, request.frames, request.by), name)


def load_frames_at(path: str | Path, seconds: Sequence[float], backend: str = "pyav") -> VideoClip:
    """The frames that are on screen at given times, counted in seconds from the first frame.

    Args:
        path: The file.
        seconds: Times; frames come back in the order of time, each once.
        backend: `pyav` or `decord`.

    Raises:
        VideoError: One of its kinds.
        ConfigError: If there are no times, or one is not a finite number.
    """
    if not seconds or not all(math.isfinite(each) for each in seconds):
        raise ConfigError(f"seconds={list(seconds)}: expected at least one time, and finite ones")
    request = FrameRequest(Path(path), len(seconds), backend=backend)
    return _clip(request, lambda index: sorted({index.shown_at(each) for each in seconds}), "given times")


def _clip(request: FrameRequest, choose: Callable[[VideoIndex], list[int]], name: str) -> VideoClip:
    index = index_video(request.path)
    try:
        return _decoded_clip(index, choose(index), name, request)
    except MisleadingPacketsError:
        index = index_video(request.path, by_packets=False)
        return _decoded_clip(index, choose(index), name, request)


def _decoded_clip(index: VideoIndex, chosen: list[int], name: str, request: FrameRequest) -> VideoClip:
    notes = []
    if index.missing:
        if not request.salvage:
            raise TruncatedVideoError(
                f"{index.path}: {index.missing}; download it again, or set salvage: true to use the rest"
            )
        notes.append(f"truncated: {index.missing}")
    if index.joins:
        notes.append(f"time stamps restart {index.joins} times; the parts follow one another")
    if request.backend == "decord":
        decoded = decode_frames_with_decord(index, chosen, request.max_side)
    else:
        decoded = decode_frames(index, chosen, request.max_side)
    notes += _damage(index, chosen, decoded, request.salvage)
    if decoded.scaled_from is not None:
        notes.append(f"scaled down from {decoded.scaled_from[0]} x {decoded.scaled_from[1]}")
    if decoded.resized:
        notes.append(f"{decoded.resized} frames had another size than the first and were scaled to it")
    kept = [number for number in chosen if number in decoded.frames]
    frames = [decoded.frames[number] for number in kept]
    times = index.times
    shown = tuple(times[number] for number in kept)
    return VideoClip(np.stack(frames), shown, index.duration, len(index.pts), name, tuple(notes))


def _damage(index: VideoIndex, chosen: list[int], decoded: Decoded, salvage: bool) -> list[str]:
    missing, corrupt = len(chosen) - len(decoded.frames), len(decoded.corrupt)
    if missing or corrupt:
        what = f"of {len(chosen)} frames, {missing} do not decode and {corrupt} are flagged as damaged"
    elif index.undecodable:
        what = f"beside {len(index.pts)} frames, {index.undecodable} packets do not decode"
    else:
        return []
    if not salvage:
        raise CorruptVideoError(f"{index.path}: {what}; download it again, or set salvage: true to use the rest")
    return [f"damaged: {what}"]
