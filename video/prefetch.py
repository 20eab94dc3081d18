"""Decodes videos ahead in worker processes, in order, each within a time limit."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from operator import methodcaller

from namm_xmodal.errors import VideoError
from namm_xmodal.video.clip import FrameRequest, VideoClip
from namm_xmodal.video.frame_cache import FrameCache
from namm_xmodal.video.killable import decoder_lost
from namm_xmodal.video.load import load_video
from namm_xmodal.workers.messages import Task
from namm_xmodal.workers.processes import process_pool

Loaded = VideoClip | VideoError
Load = Callable[[FrameRequest], VideoClip]
RETRIES = 1
"""A video is tried once more: its decoder may have been killed or stopped through no fault of the file."""


def prefetch(
    requests: Sequence[FrameRequest],
    *,
    workers: int = 1,
    limit: float = 60.0,
    ahead: int = 4,
    cache: FrameCache | None = None,
    load: Load = load_video,
) -> Iterator[Loaded]:
    """What each request gives, in order: its frames, or what is wrong with the file.

    Args:
        requests: What to load.
        workers: Decoder processes; 0 decodes in this process, which cannot be interrupted and knows no time limit.
        limit: Seconds for one video; a process that takes longer is killed and the video tried once more.
        ahead: Most videos that are decoded and not yet taken, which bounds memory.
        cache: Frames of earlier runs.
        load: What loads a request; at the top of a module, so that processes can import it.

    Raises:
        WorkerError: If decoder processes cannot be started.
    """
    if workers == 0:
        yield from map(_Loader(load, cache).get, requests)
        return
    tasks = [Task(str(request.path), methodcaller("get", request)) for request in requests]
    with closing(process_pool(partial(_Loader, load, cache), workers, retries=RETRIES, silence=limit)) as pool:
        for done in pool.run(tasks, ahead=ahead, lost=partial(decoder_lost, limit)):
            yield done.content


@dataclass(frozen=True)
class _Loader:
    """Loads from the file or the cache; lives in a decoder process."""

    load: Load
    cache: FrameCache | None

    def get(self, request: FrameRequest) -> Loaded:
        try:
            clip = self.cache.get(request) if self.cache is not None else None
            if clip is None:
                clip = self.load(request)
                if self.cache is not None:
                    self.cache.put(request, clip)
            return clip
        except VideoError as error:
            return error
