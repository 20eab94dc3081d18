"""Decodes videos ahead in worker processes, in order, each within a time limit."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from namm_xmodal.errors import CorruptVideoError, VideoError, VideoTimeoutError
from namm_xmodal.video.clip import FrameRequest, VideoClip
from namm_xmodal.video.frame_cache import FrameCache
from namm_xmodal.video.load import load_video

Loaded = VideoClip | VideoError
Load = Callable[[FrameRequest], VideoClip]


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
        limit: Seconds for one video; a process that takes longer is killed and replaced.
        ahead: Most videos that are decoded and not yet taken, which bounds memory.
        cache: Frames of earlier runs.
        load: What loads a request; at the top of a module, so that processes can import it.
    """
    if workers == 0:
        for request in requests:
            yield _with_cache(request, cache, load)
        return
    crew = _Crew(workers, limit, load, cache)
    done: dict[int, Loaded] = {}
    given = 0
    try:
        for place in range(len(requests)):
            while place not in done:
                while given < min(len(requests), place + max(ahead, workers)) and crew.give(given, requests[given]):
                    given += 1
                done.update(crew.collect())
            yield done.pop(place)
    finally:
        crew.close()


def _with_cache(request: FrameRequest, cache: FrameCache | None, load: Load) -> Loaded:
    try:
        clip = cache.get(request) if cache is not None else None
        if clip is None:
            clip = load(request)
            if cache is not None:
                cache.put(request, clip)
        return clip
    except VideoError as error:
        return error


class _Crew:
    """Processes, what each is busy with, and when its time is over."""

    def __init__(self, workers: int, limit: float, load: Load, cache: FrameCache | None) -> None:
        self.limit, self.load, self.cache = limit, load, cache
        self.context = multiprocessing.get_context("spawn")
        self.idle: list[tuple[Connection, BaseProcess]] = []
        self.busy: dict[Connection, tuple[BaseProcess, int, FrameRequest, float]] = {}
        self.missing = workers

    def give(self, place: int, request: FrameRequest) -> bool:
        """Hands a request to an idle process, starting one if some are missing; False if all are busy."""
        if not self.idle and self.missing:
            self.missing -= 1
            self.idle.append(self._start())
        if not self.idle:
            return False
        connection, process = self.idle.pop()
        connection.send(request)
        self.busy[connection] = (process, place, request, time.monotonic() + self.limit)
        return True

    def collect(self) -> dict[int, Loaded]:
        """Waits until something is done or some time is over."""
        nearest = min(deadline for *_, deadline in self.busy.values())
        ready = wait(list(self.busy), timeout=max(0.0, nearest - time.monotonic()))
        found: dict[int, Loaded] = {}
        for each in ready:
            assert isinstance(each, Connection)
            process, place, request, _ = self.busy.pop(each)
            try:
                answer = each.recv()
                self.idle.append((each, process))
            except EOFError:
                self._end(each, process)
                answer = CorruptVideoError(f"{request.path}: the decoder crashed (exit code {process.exitcode})")
            if isinstance(answer, Exception) and not isinstance(answer, VideoError):
                raise answer
            found[place] = answer
        for each, (process, place, request, deadline) in list(self.busy.items()):
            if time.monotonic() >= deadline:
                del self.busy[each]
                self._end(each, process)
                found[place] = VideoTimeoutError(
                    f"{request.path}: decoding took longer than {self.limit:g} s; its process was killed"
                )
        return found

    def close(self) -> None:
        """Ends all processes."""
        for connection, process in [*self.idle, *((each, busy[0]) for each, busy in self.busy.items())]:
            self._end(connection, process)

    def _start(self) -> tuple[Connection, BaseProcess]:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs, self.load, self.cache), daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(max(60.0, self.limit)) or ours.recv() != "ready":  # imports are no part of a video's time
            raise VideoTimeoutError("a decoder process did not start; use workers: 0")
        return ours, process

    def _end(self, connection: Connection, process: BaseProcess) -> None:
        process.kill()
        process.join()
        connection.close()
        self.missing += 1


def _serve(connection: Connection, load: Load, cache: FrameCache | None) -> None:
    """The life of a decoder process."""
    try:
        connection.send("ready")
        while True:
            request = connection.recv()
            answer: Any
            try:
                answer = _with_cache(request, cache, load)
            except Exception as error:  # a fault of ours or of the configuration: the parent raises it
                answer = error
            connection.send(answer)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
