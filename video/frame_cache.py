"""Decoded frames on disk, so that a second run decodes nothing."""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.video.clip import FrameRequest, VideoClip

_NAME = re.compile(r"[0-9a-f]{24}\.safetensors")

_READER = 2
"""Counts changes in which frames a request gives; files of an earlier one are not used."""


@dataclass(frozen=True)
class FrameCache:
    """A folder of frames, one file per request; the files used longest ago go when it is full.

    A file that changed (size or time of modification) counts as another one. What cannot be read or written is as good as
    absent: a cache never decides over a result.

    Attributes:
        folder: The folder.
        gigabytes: Most it may hold.
    """

    folder: Path
    gigabytes: float = 2.0

    def get(self, request: FrameRequest) -> VideoClip | None:
        """The clip of an earlier run, None if there is none."""
        place = self._place(request)
        if place is None or not place.exists():
            return None
        try:
            with safe_open(place, "np") as file:
                told = json.loads(file.metadata()["clip"])
                frames = file.get_tensor("frames")
            os.utime(place)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None
        return VideoClip(
            frames, tuple(told["times"]), told["duration"], told["total"], told["sampler"], tuple(told["notes"])
        )

    def put(self, request: FrameRequest, clip: VideoClip) -> None:
        """Keeps a clip; the file appears whole or not at all."""
        place = self._place(request)
        if place is None:
            return
        told = {name: getattr(clip, name) for name in ("times", "duration", "total", "sampler", "notes")}
        with suppress(OSError, SafetensorError):
            with replacing(place) as part:
                save_file({"frames": np.ascontiguousarray(clip.frames)}, part, metadata={"clip": json.dumps(told)})
            self._shrink()

    def _place(self, request: FrameRequest) -> Path | None:
        try:
            status = request.path.stat()
        except OSError:
            return None
        told = {
            **asdict(request),
            "reader": _READER,
            "path": str(request.path.resolve()),
            "size": status.st_size,
            "at": status.st_mtime_ns,
        }
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]
        return self.folder / f"{digest}.safetensors"

    def _shrink(self) -> None:
        own = (
            file for file in self.folder.glob("*.safetensors") if _NAME.fullmatch(file.name)
        )  # others are the user's
        files = sorted(own, key=lambda file: file.stat().st_mtime)
        total = sum(file.stat().st_size for file in files)
        for file in files[:-1]:
            if total <= self.gigabytes * 2**30:
                return
            total -= file.stat().st_size
            file.unlink(missing_ok=True)
