"""Videos of questions, one after another: decoded ahead or generated, each once however many questions it has."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from namm_xmodal.errors import ItemError, MissingVideoError
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.video.benchmarks.question import Composed, Generated, VideoQuestion
from namm_xmodal.video.clip import FrameRequest, VideoClip
from namm_xmodal.video.composed.clip import compose
from namm_xmodal.video.frame_cache import FrameCache
from namm_xmodal.video.prefetch import prefetch
from namm_xmodal.video.procedural.clip import make_clip


def videos(config: VideoSection, questions: Sequence[VideoQuestion]) -> Iterator[VideoClip | ItemError]:
    """The frames of each question's video, or what is wrong with question or video, in order."""
    files = [question.video for question in questions if isinstance(question.video, Path)]
    settings = config.loader
    cache = FrameCache(Path(settings.cache), settings.cache_gigabytes) if settings.cache else None
    requests = [
        FrameRequest(
            path=path,
            frames=config.frames,
            sampler=config.sampler,
            by=config.sample_by,
            salvage=settings.salvage,
            max_side=settings.max_side,
            backend=settings.backend,
        )
        for path in files
    ]
    loaded = prefetch(requests, workers=settings.workers, limit=settings.limit, ahead=settings.ahead, cache=cache)
    for question in questions:
        if question.problem:
            yield ItemError(question.problem)
        elif question.video is None:
            yield MissingVideoError("the benchmark gives no video for this question")
        elif isinstance(question.video, Generated | Composed):
            yield _generated(config, question.video)
        else:
            yield next(loaded)


def _generated(config: VideoSection, source: Generated | Composed) -> VideoClip:
    """All frames of a generated or composed clip: it is as long as the benchmark says."""
    if isinstance(source, Composed):
        frames = compose(source.seed, source.number, source.frames, source.pool, source.folder).video()
    else:
        frames = make_clip(source.seed, source.number, source.frames).video
    return VideoClip(
        frames, tuple(float(at) for at in range(len(frames))), float(len(frames)), len(frames), "all frames"
    )
